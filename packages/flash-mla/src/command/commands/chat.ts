import { createInterface, type Interface } from 'node:readline';
import { type ChatMessage, type LanguageModel, Thoughts } from '@flash-mla/models';
import type { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../errors.ts';
import {
  addModelOptions,
  addSamplingOptions,
  loadFor,
  type ModelFlags,
  type SamplingFlags,
  samplingOptions,
} from '../models/options.ts';
import { addNotes } from '../terminal/help.ts';
import { printableLines } from '../terminal/printable.ts';

interface ChatFlags extends ModelFlags, SamplingFlags {
  readonly system?: string;
}

export function define(command: Command): void {
  addModelOptions(command).option('--system <text>', 'a message before the conversation');
  addSamplingOptions(command);
  addNotes(command, [
    'A line is a message. /clear begins anew, /exit and Ctrl-D end. Ctrl-C stops an answer, and ends ' +
      'where none is being written. Thoughts are shown dim. Lines can also come from a pipe.',
  ]);
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const flags = command.opts<ChatFlags>();
  const model = await loadFor(command.args[0], flags, context);
  const isTerminal = process.stdin.isTTY === true && context.width !== undefined;
  const lines = createInterface({
    input: process.stdin,
    ...(isTerminal && { output: process.stdout, prompt: '> ' }),
    terminal: isTerminal,
  });
  context.onExit(() => lines.close());
  const conversation = new Conversation(model, flags, context);
  lines.on('SIGINT', () => {
    if (!conversation.interrupt()) lines.close();
  });
  for await (const line of linesOf(lines, isTerminal)) {
    const text = line.trim();
    if (text === '/exit') break;
    if (text === '/clear') conversation.clear();
    else if (text !== '') await conversation.answer(text);
  }
  return exitCodes.ok;
}

/** The lines as they come, each after a prompt where somebody types them. */
async function* linesOf(lines: Interface, isTerminal: boolean): AsyncGenerator<string> {
  const iterator = lines[Symbol.asyncIterator]();
  for (;;) {
    if (isTerminal) lines.prompt();
    const { value, done } = await iterator.next();
    if (done === true) return;
    yield value;
  }
}

/** What was said so far, and the answer that is being written. */
class Conversation {
  readonly #model: LanguageModel;
  readonly #flags: ChatFlags;
  readonly #context: CommandContext;
  #messages: ChatMessage[] = [];
  #answering: AbortController | undefined;

  constructor(model: LanguageModel, flags: ChatFlags, context: CommandContext) {
    this.#model = model;
    this.#flags = flags;
    this.#context = context;
    this.clear();
  }

  clear(): void {
    const { system } = this.#flags;
    this.#messages = system === undefined ? [] : [{ role: 'system', content: system }];
  }

  /** Stops the answer; false where none is being written. */
  interrupt(): boolean {
    this.#answering?.abort();
    return this.#answering !== undefined;
  }

  /** Writes the answer to a message. One that was stopped stays in the conversation as far as it came. */
  async answer(content: string): Promise<void> {
    this.#messages.push({ role: 'user', content });
    const stop = new AbortController();
    this.#answering = stop;
    const signal = AbortSignal.any([stop.signal, this.#context.signal]);
    const thoughts = new Thoughts(this.#promptEndsInThought());
    let said = '';
    const show = (parts: ReturnType<Thoughts['push']>) => {
      for (const { kind, text } of parts) {
        this.#write(kind, text);
        if (kind === 'answer') said += text;
      }
    };
    const options = { ...samplingOptions(this.#flags), signal, skipSpecialTokens: false };
    try {
      for await (const { text } of this.#model.generate({ messages: this.#messages }, options)) {
        show(thoughts.push(text));
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    } finally {
      this.#answering = undefined;
    }
    show(thoughts.flush());
    this.#context.write('\n');
    this.#messages.push({ role: 'assistant', content: said.trim() });
  }

  #write(kind: 'thought' | 'answer', text: string): void {
    const { colors, width, write } = this.#context;
    const shown = width === undefined ? text : printableLines(text);
    write(kind === 'thought' ? colors.dim(shown) : shown);
  }

  /** Templates of models that always think begin the thought themselves. */
  #promptEndsInThought(): boolean {
    const rendered = this.#model.tokenizer.chatTemplate?.render(this.#messages) ?? '';
    return rendered.trimEnd().endsWith('<think>');
  }
}
