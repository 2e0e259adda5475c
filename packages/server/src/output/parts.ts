/** A piece of an answer, in the order in which the model wrote it. */
export type OutputPart =
  | { readonly kind: 'text'; readonly text: string }
  /** Thoughts, which are not part of the answer. */
  | { readonly kind: 'reasoning'; readonly text: string }
  /** Begins call `call`, counted from 0. `id` where the model's format has one. */
  | { readonly kind: 'call'; readonly call: number; readonly name: string; readonly id?: string }
  /** The next characters of the call's arguments, which together are JSON. */
  | { readonly kind: 'arguments'; readonly call: number; readonly text: string };

/** Takes text apart as it comes. However the text is cut, the parts together are the same. */
export interface OutputParser {
  push(text: string): OutputPart[];
  /** What was held back, once no more text comes. */
  flush(): OutputPart[];
  /** Whether what comes next is a thought. */
  readonly isThinking: boolean;
}

/** Leaves text as it is. */
export class PlainText implements OutputParser {
  readonly isThinking = false;
  push(text: string): OutputPart[] {
    return text === '' ? [] : [{ kind: 'text', text }];
  }
  flush(): OutputPart[] {
    return [];
  }
}
