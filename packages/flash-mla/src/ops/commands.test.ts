// Commands are declared beside the host's code and written in AssemblyScript; both sides must have all of them.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { base64 } from '../../wasm/cpu-plain.js';

const source = join(import.meta.dirname, '..');

/** What the kernels export for the host, beside commands. */
const forTheHost = [
  ...['blockTokens', 'scratchBytes', 'slotBytes', 'multiplyAdd', 'probeFmasPerIteration'],
  ...['startThread', 'useNative', 'useTiles', 'multipliesByTiles', 'multipliesWeights'],
];

async function declaredCommands(): Promise<string[]> {
  const modules = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((path) => /(^|[\\/])descriptors\.ts$/.test(path))
    .map((path) => import(join(source, path)) as Promise<Record<string, { kind?: string }>>);
  return (await Promise.all(modules)).flatMap((module) =>
    Object.values(module).flatMap((each) =>
      each.kind === 'command' ? [(each as { name: string }).name] : [],
    ),
  );
}

describe('commands', () => {
  it('are what the kernels export, each once', async () => {
    const exported = WebAssembly.Module.exports(
      new WebAssembly.Module(Buffer.from(base64, 'base64')),
    )
      .filter(({ kind }) => kind === 'function')
      .map(({ name }) => name);
    const declared = await declaredCommands();
    expect(declared).toContain('denseDecode');
    expect([...declared, ...forTheHost].sort()).toEqual(exported.sort());
  });
});
