// This library's engine on the processor, through its public names.
import { openDevice } from 'flash-mla';
import { loadModel } from 'flash-mla/models';

export class Ours {
  #device;
  #model;

  static async open(folder, threads) {
    const own = new Ours();
    own.#device = await openDevice('cpu', { threads });
    own.#model = await loadModel(folder, { device: own.#device, maxSequences: 8 });
    return own;
  }

  get kernels() {
    return this.#device.info.details.kernels;
  }

  encode(content) {
    return this.#model.encode({ messages: [{ role: 'user', content }] });
  }

  async prefill(prompt) {
    const { end } = await this.#run(prompt, 1);
    return (1e3 * prompt.length) / end.firstTokenMs;
  }

  async decode(prompts, tokens) {
    const runs = await Promise.all(prompts.map((prompt) => this.#run(prompt, tokens)));
    const begin = Math.max(...runs.map(({ times }) => times[0]));
    const end = Math.max(...runs.map(({ times }) => times.at(-1)));
    const behind = runs.flatMap(({ times }) => times).filter((time) => time > begin).length;
    return (1e3 * behind) / (end - begin);
  }

  async greedy(prompt, tokens) {
    return (await this.#run(prompt, tokens, false)).found;
  }

  async dispose() {
    await this.#model.dispose();
    await this.#device.dispose();
  }

  async #run(prompt, maxTokens, ignoreEos = true) {
    const [times, found] = [[], []];
    let last;
    const options = { maxTokens, ignoreEos, temperature: 0 };
    for await (const { tokens, end } of this.#model.generate(prompt, options)) {
      const now = performance.now();
      for (const token of tokens) {
        found.push(token);
        times.push(now);
      }
      last = end ?? last;
    }
    if (last.cachedTokens > 0) throw new Error('The prompt was in the cache.');
    return { times, found, end: last };
  }
}
