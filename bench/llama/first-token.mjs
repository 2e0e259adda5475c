// A process of its own: from its start to llama.cpp's first token. `node first-token.mjs FILE ID…`
import { Llama } from './theirs.mjs';

const [path, ...ids] = process.argv.slice(2);
const llama = await Llama.open(path);
await llama.greedy(ids.map(Number), 1, 2);
process.stdout.write('token\n');
await llama.dispose();
