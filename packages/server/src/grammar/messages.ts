import type { GrammarSpec } from '../generate/request.ts';

/** What the grammar worker is asked. Each is answered by a reply with its `id`, but for `close`. */
export type GrammarCall =
  | { readonly kind: 'compile'; readonly id: number; readonly spec: GrammarSpec }
  | {
      /** The mask behind `accept`; a matcher that is not known yet begins with them. */
      readonly kind: 'mask';
      readonly id: number;
      readonly matcher: number;
      readonly spec: GrammarSpec;
      readonly accept: readonly number[];
    }
  | { readonly kind: 'close'; readonly matcher: number };

export type GrammarReply =
  | { readonly id: number; readonly mask?: Int32Array }
  | { readonly id: number; readonly error: string };
