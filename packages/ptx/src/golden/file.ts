import { PtxError } from '../errors.ts';

/** What a device answered: the output buffers of each case, in the order of its parameters. */
export type GoldenAnswers = ReadonlyMap<string, readonly Uint8Array[]>;

interface GoldenJson {
  /** The device that gave the answers, and its driver. */
  readonly device: string;
  /** Per case the output buffers in base64. */
  readonly cases: Readonly<Record<string, readonly string[]>>;
}

/** The name of a family's file, in this folder. */
export function goldenFileName(family: string): string {
  return `${family}.golden.json`;
}

/** The content of a family's file: JSON with one line per case. */
export function goldenFile(device: string, answers: GoldenAnswers): string {
  const lines = [...answers].map(
    ([name, buffers]) => `    ${JSON.stringify(name)}: ${JSON.stringify(buffers.map(toBase64))}`,
  );
  return `{\n  "device": ${JSON.stringify(device)},\n  "cases": {\n${lines.join(',\n')}\n  }\n}\n`;
}

/** Reads a family's file. */
export function parseGoldenFile(text: string): { device: string; answers: GoldenAnswers } {
  const json = JSON.parse(text) as GoldenJson;
  if (typeof json.device !== 'string' || typeof json.cases !== 'object') {
    throw new PtxError('a golden file needs "device" and "cases"');
  }
  const answers = new Map(
    Object.entries(json.cases).map(([name, buffers]) => [name, buffers.map(fromBase64)]),
  );
  return { device: json.device, answers };
}

function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}
