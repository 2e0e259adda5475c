// Assembles the kernels for processors and writes their code into a module of text, as the WebAssembly kernels
// are: opening a device then loads neither the sources of the kernels nor the assembler.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export async function embedNative(library) {
  const module = join(library, 'dist', 'runtime', 'cpu', 'native', 'programs.js');
  const { allPrograms } = await import(pathToFileURL(module));
  const embed = ({ bytes, features }) => ({
    base64: Buffer.from(bytes).toString('base64'),
    tiles: features.includes('amx_tile'),
  });
  const kernels = Object.fromEntries(
    ['system-v', 'windows'].map((abi) => [
      abi,
      Object.fromEntries(allPrograms(abi).map((program) => [program.name, embed(program)])),
    ]),
  );
  const text = `export const kernels = ${JSON.stringify(kernels)};\n`;
  writeFileSync(join(library, 'wasm', 'native-kernels.js'), text);
}
