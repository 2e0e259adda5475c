import type { BatchPlan, ModelRunner, StepOutput } from '@flash-mla/engine';
import { Sampler } from '@flash-mla/engine';
import type {
  IncrementalDecoder,
  ServedModel,
  ServedTokenizer,
  TemplateMessage,
} from '../model/served-model.ts';

/** Tokens behind the 256 bytes. */
const specials = [
  '<bos>',
  '<eos>',
  '<｜User｜>',
  '<｜Assistant｜>',
  '<think>',
  '</think>',
  '<｜tool▁calls▁begin｜>',
  '<｜tool▁calls▁end｜>',
  '<｜tool▁call▁begin｜>',
  '<｜tool▁call▁end｜>',
  '<｜tool▁sep｜>',
];
const idOf = (text: string) => {
  const index = specials.indexOf(text);
  return index < 0 ? undefined : 256 + index;
};
const [bos, eos, assistant] = [256, 257, 259];
const vocabularySize = 256 + specials.length;
const pattern = new RegExp(`(${specials.map((s) => s.replace(/[|]/g, '\\$&')).join('|')})`);

class BytesTokenizer implements ServedTokenizer {
  encode(text: string, { addSpecialTokens }: { readonly addSpecialTokens: boolean }) {
    const tokens = text.split(pattern).flatMap((piece) => idOf(piece) ?? [...Buffer.from(piece)]);
    return addSpecialTokens ? [bos, ...tokens] : tokens;
  }
  decode(
    tokens: readonly number[],
    { skipSpecialTokens }: { readonly skipSpecialTokens: boolean },
  ) {
    const decoder = this.decoder();
    const kept = tokens.filter((token) => !skipSpecialTokens || !this.isSpecial(token));
    return kept.map((token) => decoder.push(token)).join('') + decoder.flush();
  }
  decoder(): IncrementalDecoder {
    const decoder = new TextDecoder();
    return {
      push: (token) => decoder.decode(this.bytesOf(token), { stream: true }),
      flush: () => decoder.decode(),
    };
  }
  isSpecial(token: number) {
    return token >= 256 && token < vocabularySize;
  }
  bytesOf(token: number) {
    if (token < 256) return Uint8Array.of(token);
    const special = specials[token - 256];
    return special === undefined ? undefined : Buffer.from(special);
  }
  idOf(text: string) {
    return idOf(text);
  }
}

function render(
  messages: readonly TemplateMessage[],
  tools: readonly unknown[] | undefined,
): string {
  let text = tools === undefined ? '' : `tools ${JSON.stringify(tools)}\n`;
  for (const { role, content, tool_calls: calls } of messages) {
    if (!['system', 'user', 'assistant', 'tool'].includes(role)) throw new Error(`no role ${role}`);
    text += role === 'assistant' ? '<｜Assistant｜>' : '<｜User｜>';
    text += `${content ?? ''}${calls === undefined ? '' : JSON.stringify(calls)}`;
  }
  return text;
}

/** A model of bytes. It repeats what stands behind the last `say:` of the prompt; else it babbles. */
export const byteModel: ServedModel = {
  id: 'bytes',
  maxModelLength: 4096,
  vocabularySize,
  tokenizer: new BytesTokenizer(),
  chat: {
    family: 'deepseek-v3.1',
    render: (messages, { addGenerationPrompt, tools, variables }) =>
      `<bos>${render(messages, tools)}${addGenerationPrompt ? '<｜Assistant｜>' : ''}${variables.thinking === true ? '<think>' : ''}`,
  },
  stopTokens: [eos],
  defaults: { temperature: 1 },
};

const say = [...Buffer.from('say:')];
const corpus = Buffer.from('the cat sat on the mat and the dog sat on the log. ');

/** The likeliest next token has 12 more than any other, so that sampling follows the script too. */
function logitsAfter(sequence: readonly number[]): Float64Array {
  const logits = new Float64Array(vocabularySize).fill(-4);
  const begin = sequence.lastIndexOf(assistant);
  const from = begin < 0 ? -1 : lastScript(sequence, begin);
  if (from >= 0) {
    const script = sequence.slice(from, begin);
    const think = idOf('<think>');
    // The prompt itself may have begun the thoughts.
    const prefix = sequence[begin + 1] === think && script[0] !== think ? 2 : 1;
    logits[script[sequence.length - begin - prefix] ?? eos] = 12;
    return logits;
  }
  const last = sequence.at(-1);
  for (let i = 0; i + 1 < corpus.length; i++) {
    const next = corpus[i + 1] ?? 0;
    if (corpus[i] === last || last === undefined || last > 255)
      logits[next] = (logits[next] ?? 0) + 3;
  }
  logits[32] = (logits[32] ?? 0) + 1;
  return logits;
}

function lastScript(sequence: readonly number[], before: number): number {
  for (let at = before - say.length; at >= 0; at--) {
    if (say.every((token, i) => sequence[at + i] === token)) return at + say.length;
  }
  return -1;
}

/** A device for the model: its K/V of a token is the token, so a wrong page changes the text. */
export class ByteRunner implements ModelRunner {
  /** Milliseconds a step takes. */
  stepMs = 0;
  /** The next steps fail. */
  failures = 0;
  numSteps = 0;
  readonly #pageSize: number;
  readonly #cells: Int32Array;
  readonly #rows = new Map<number, { sampler: Sampler; last: number }>();
  #before: Promise<unknown> = Promise.resolve();

  constructor({
    totalPages,
    pageSize,
  }: { readonly totalPages: number; readonly pageSize: number }) {
    this.#pageSize = pageSize;
    this.#cells = new Int32Array(totalPages * pageSize).fill(-1);
  }

  run(plan: BatchPlan): Promise<StepOutput> {
    const answer = this.#before.then(() => this.#step(plan));
    this.#before = answer.catch(() => {});
    return answer;
  }

  async #step({ starts, decodes, prefills, masks }: BatchPlan): Promise<StepOutput> {
    this.numSteps++;
    if (this.stepMs > 0) await new Promise((resolve) => setTimeout(resolve, this.stepMs));
    if (this.failures > 0) {
      this.failures--;
      throw new Error('the device has failed');
    }
    for (const start of starts)
      this.#rows.set(start.slot, { sampler: new Sampler(start), last: -1 });
    const samples: { slot: number; pages: readonly number[]; length: number }[] = [];
    for (const { slot, position, token, pages } of decodes) {
      this.#write(pages, position, token ?? this.#rows.get(slot)?.last ?? -1);
      samples.push({ slot, pages, length: position + 1 });
    }
    for (const { slot, start, tokens, pages, samples: isLast } of prefills) {
      for (const [i, token] of tokens.entries()) this.#write(pages, start + i, token);
      if (isLast) samples.push({ slot, pages, length: start + tokens.length });
    }
    const allowed = await masks;
    const sampled = samples.map(({ slot, pages, length }) => {
      const row = this.#rows.get(slot);
      const sequence = Array.from({ length }, (_, i) => this.#cells[this.#cell(pages, i)] ?? -1);
      const sample = row?.sampler.sample(logitsAfter(sequence), length, allowed?.get(slot));
      if (row !== undefined && sample !== undefined) row.last = sample.token;
      return sample;
    });
    return {
      tokens: sampled.map((sample) => sample?.token ?? -1),
      logprobs: sampled.map((sample) => sample?.logprobs),
      durationMs: this.stepMs,
    };
  }

  #write(pages: readonly number[], position: number, token: number): void {
    this.#cells[this.#cell(pages, position)] = token;
  }

  #cell(pages: readonly number[], position: number): number {
    const page = pages[Math.floor(position / this.#pageSize)] ?? 0;
    return page * this.#pageSize + (position % this.#pageSize);
  }
}
