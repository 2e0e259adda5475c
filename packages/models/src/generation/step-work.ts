import type { BatchPlan, Decode, PrefillChunk } from '@flash-mla/engine';
import type { SequenceTokens } from '../layers/batch.ts';

/** New tokens of a row of the batch, and whether the token after the last one is drawn. */
export interface StepWork {
  readonly slot: number;
  readonly sequence: SequenceTokens;
  readonly samples: boolean;
}

/** What sequences that are decoded compute; `tokenOf` gives the last token of a slot where the plan has none. */
export function decodeWork(
  decodes: readonly Decode[],
  tokenOf: (slot: number) => number,
): StepWork[] {
  return decodes.map(({ slot, position, token, pages, devicePages }) => {
    const own = { tokens: [token ?? tokenOf(slot)], start: position };
    const places = devicePages
      ? { pages: devicePages, indexPages: pages, hotRow: slot }
      : { pages };
    return { slot, sequence: { ...own, ...places }, samples: true };
  });
}

/** What chunks of prompts compute. */
export function prefillWork(prefills: BatchPlan['prefills']): StepWork[] {
  return prefills.map(({ slot, start, tokens, pages, devicePages, samples }: PrefillChunk) => {
    const places = devicePages ? { pages: devicePages, indexPages: pages } : { pages };
    return { slot, sequence: { tokens, start, ...places }, samples };
  });
}
