import type { EncodingCase } from './cases.ts';

/** The name of a group's file, in this folder. */
export const goldenFileName = (group: string): string => `${group}.golden.json`;

/** The content of a group's file: the assembler that made the bytes, and a line for each case. */
export function goldenFile(assembler: string, cases: readonly EncodingCase[]): string {
  const lines = cases.map(({ text, bytes }) => `    ${JSON.stringify(text)}: "${bytes}"`);
  return `{\n  "assembler": ${JSON.stringify(assembler)},\n  "cases": {\n${lines.join(',\n')}\n  }\n}\n`;
}

/** Reads a group's file. */
export function parseGoldenFile(text: string): EncodingCase[] {
  const { cases } = JSON.parse(text) as { cases: Record<string, string> };
  return Object.entries(cases).map(([said, bytes]) => ({ text: said, bytes }));
}
