import { randomBytes } from 'node:crypto';
import type { OutputPart } from '../output/parts.ts';

/** A piece of an answer that belongs together, while it grows. `key` is unique. */
export type AnswerItem =
  | { readonly kind: 'reasoning'; readonly key: string; text: string }
  | { readonly kind: 'message'; readonly key: string; text: string }
  | {
      readonly kind: 'call';
      readonly key: string;
      /** As the model wrote it; undefined where it wrote none. */
      readonly callId: string | undefined;
      readonly name: string;
      text: string;
    };

/** What a part does to the items: begins one, or adds text to the last. */
export type ItemChange =
  | { readonly kind: 'begin' | 'end'; readonly item: AnswerItem }
  | { readonly kind: 'text'; readonly item: AnswerItem; readonly text: string };

const newKey = () => randomBytes(12).toString('hex');

/** Cuts an answer into items: a change of kind ends one and begins the next. */
export class AnswerItems {
  readonly items: AnswerItem[] = [];
  #isOpen = false;

  add(parts: readonly OutputPart[]): ItemChange[] {
    return parts.flatMap((part) => this.#part(part));
  }

  end(): ItemChange[] {
    const item = this.items.at(-1);
    if (item === undefined || !this.#isOpen) return [];
    this.#isOpen = false;
    return [{ kind: 'end', item }];
  }

  #part(part: OutputPart): ItemChange[] {
    if (part.kind === 'call') {
      const { id: callId, name } = part;
      return this.#begin({ kind: 'call', key: newKey(), callId, name, text: '' });
    }
    const kind =
      part.kind === 'text' ? 'message' : part.kind === 'reasoning' ? 'reasoning' : 'call';
    const changes: ItemChange[] = [];
    if (!this.#isOpen || this.items.at(-1)?.kind !== kind) {
      if (kind === 'call') return [];
      changes.push(...this.#begin({ kind, key: newKey(), text: '' }));
    }
    const item = this.items.at(-1);
    if (item === undefined) return changes;
    item.text += part.text;
    return [...changes, { kind: 'text', item, text: part.text }];
  }

  #begin(item: AnswerItem): ItemChange[] {
    const ended = this.end();
    this.items.push(item);
    this.#isOpen = true;
    return [...ended, { kind: 'begin', item }];
  }
}
