/** A part of an answer: what the model thinks aloud, or what it says. */
export interface AnswerPart {
  readonly kind: 'thought' | 'answer';
  readonly text: string;
}

const begin = '<think>';
const end = '</think>';

/** Tells thoughts from the answer in text that comes in pieces. */
export class Thoughts {
  #isThinking: boolean;
  #held = '';

  /** @param isThinking whether the prompt ends within a thought. */
  constructor(isThinking: boolean) {
    this.#isThinking = isThinking;
  }

  push(piece: string): AnswerPart[] {
    const parts: AnswerPart[] = [];
    let text = this.#held + piece;
    for (;;) {
      const mark = this.#isThinking ? end : begin;
      const at = text.indexOf(mark);
      if (at === -1) break;
      this.#add(parts, text.slice(0, at));
      this.#isThinking = !this.#isThinking;
      text = text.slice(at + mark.length);
    }
    const keep = heldLength(text, this.#isThinking ? end : begin);
    this.#held = text.slice(text.length - keep);
    this.#add(parts, text.slice(0, text.length - keep));
    return parts;
  }

  /** What was held back, once no more text comes. */
  flush(): AnswerPart[] {
    const parts: AnswerPart[] = [];
    this.#add(parts, this.#held);
    this.#held = '';
    return parts;
  }

  #add(parts: AnswerPart[], text: string): void {
    if (text !== '') parts.push({ kind: this.#isThinking ? 'thought' : 'answer', text });
  }
}

/** Length of the longest end of the text with which the mark begins. */
function heldLength(text: string, mark: string): number {
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(mark.slice(0, length))) return length;
  }
  return 0;
}
