import { randomAt } from '@flash-mla/engine';

/** Which prompts a load has. */
export const loadKinds = ['fixed', 'shared-prefix', 'multi-turn'] as const;
export type LoadKind = (typeof loadKinds)[number];

export interface LoadOptions {
  readonly kind: LoadKind;
  readonly requests: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly seed: number;
}

/** Prompts that are sent one after the other, each when the answer to the one before has ended. */
export type Session = readonly (readonly number[])[];

/** Requests of a group begin with the same tokens, so many of them. */
const [groupSize, sharedPart, turns] = [8, 0.8, 4];

/**
 * The prompts of a load, in tokens. The same options make the same load.
 *
 * @param vocabulary tokens to make prompts of
 */
export function makeLoad(
  { kind, outputTokens, promptTokens, requests, seed }: LoadOptions,
  vocabulary: readonly number[],
): Session[] {
  let drawn = 0;
  const draw = (count: number) =>
    Array.from({ length: count }, () => {
      const index = Math.floor(randomAt(seed, drawn++) * vocabulary.length);
      return vocabulary[index] ?? 0;
    });
  if (kind === 'fixed') return Array.from({ length: requests }, () => [draw(promptTokens)]);
  if (kind === 'shared-prefix') {
    const numShared = Math.floor(promptTokens * sharedPart);
    let prefix: number[] = [];
    return Array.from({ length: requests }, (_, i) => {
      if (i % groupSize === 0) prefix = draw(numShared);
      return [[...prefix, ...draw(promptTokens - numShared)]];
    });
  }
  // Each turn brings the conversation so far, as long as an answer would have made it, and a new part.
  const part = Math.max(1, Math.floor(promptTokens / turns));
  return Array.from({ length: Math.ceil(requests / turns) }, (_, session) => {
    const numTurns = Math.min(turns, requests - session * turns);
    const prompts: number[][] = [];
    for (let turn = 0; turn < numTurns; turn++) {
      const before = prompts.at(-1);
      prompts.push(before === undefined ? draw(part) : [...before, ...draw(outputTokens + part)]);
    }
    return prompts;
  });
}

/** When sessions begin, in milliseconds: as if many people came independently of each other. */
export function poissonArrivals(count: number, perSecond: number, seed: number): number[] {
  let at = 0;
  return Array.from({ length: count }, (_, i) => {
    const begin = at;
    // A stream of its own, so that the prompts stay the same at every rate.
    if (Number.isFinite(perSecond)) at += (-Math.log(1 - randomAt(seed + 1, i)) / perSecond) * 1e3;
    return begin;
  });
}
