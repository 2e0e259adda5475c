// llama.cpp through node-llama-cpp, which brings it compiled.
import { importPeer, install } from '../peers/install.mjs';

export const llamaVersion = '3.22.1';

export function installLlama() {
  const platform = `@node-llama-cpp/${process.platform === 'darwin' ? 'mac' : process.platform}-${process.arch}`;
  install('node-llama-cpp', llamaVersion, { [platform]: llamaVersion });
}

/** A converted model in llama.cpp. */
export class Llama {
  #llama;
  #model;

  /** @param {string} path of a GGUF file */
  static async open(path) {
    const { getLlama } = await importPeer('node-llama-cpp');
    const own = new Llama();
    own.#llama = await getLlama({
      ...{ build: 'never', gpu: false, logLevel: 'error', progressLogs: false },
    });
    own.#model = await own.#llama.loadModel({ modelPath: path });
    return own;
  }

  /** Tokens a second of a prompt. */
  prefill(prompt, threads) {
    return this.#with(1, prompt.length + 64, threads, async ([sequence]) => {
      const begin = performance.now();
      await sequence.evaluateWithoutGeneratingNewTokens([...prompt]);
      return (1e3 * prompt.length) / (performance.now() - begin);
    });
  }

  /** Tokens a second of sequences together, each behind its prompt. */
  decode(prompts, tokens, threads) {
    return this.#with(prompts.length, prompts[0].length + tokens + 64, threads, async (all) => {
      for (const [i, sequence] of all.entries()) {
        await sequence.evaluateWithoutGeneratingNewTokens(prompts[i].slice(0, -1));
      }
      const runs = all.map((sequence, i) => timesOf(sequence, prompts[i].at(-1), tokens));
      const times = await Promise.all(runs);
      const begin = Math.max(...times.map(([first]) => first));
      const end = Math.max(...times.map((own) => own.at(-1)));
      const behind = times.flat().filter((time) => time > begin).length;
      return (1e3 * behind) / (end - begin);
    });
  }

  /** The likeliest tokens behind a prompt. */
  greedy(prompt, tokens, threads) {
    return this.#with(1, prompt.length + tokens + 64, threads, async ([sequence]) => {
      const found = [];
      for await (const token of sequence.evaluate([...prompt], {
        temperature: 0,
        yieldEogToken: true,
      })) {
        if (found.push(token) === tokens) break;
      }
      return found;
    });
  }

  async dispose() {
    await this.#model.dispose();
    await this.#llama.dispose();
  }

  async #with(sequences, contextSize, threads, run) {
    const context = await this.#model.createContext({
      sequences,
      contextSize,
      threads,
      batchSize: 512,
    });
    try {
      return await run(Array.from({ length: sequences }, () => context.getSequence()));
    } finally {
      await context.dispose();
    }
  }
}

/** When each of so many tokens came. What is drawn goes on: end tokens, too. */
async function timesOf(sequence, first, tokens) {
  const times = [];
  let next = first;
  while (times.length < tokens) {
    for await (const token of sequence.evaluate([next], { temperature: 0, yieldEogToken: true })) {
      next = token;
      times.push(performance.now());
      if (times.length === tokens) break;
    }
  }
  return times;
}
