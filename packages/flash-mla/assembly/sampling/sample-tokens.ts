/** Draws a token for each row; see src/ops/sampling. */

import { loadRowOf } from '../elements';
import { SampleTokens } from '../generated/sampling';
import { exp2, LN2, log2, LOG2E } from '../scalar';

export function sampleTokens(command: SampleTokens): void {
  const vocabulary = command.vocabulary;
  const numTop = command.numTop;
  const raw = command.scratch(command.scratchBytes);
  const scores = raw + command.scratchBytes / 4;
  const heap = scores + command.scratchBytes / 2;
  const n = <usize>vocabulary;
  const words = (n + 31) >> 5;
  for (let r = command.takeItem(); r < command.numRows; r = command.takeItem()) {
    const row = <usize>r;
    loadRowOf(command.logits, r, raw, vocabulary);
    restrict(
      raw,
      scores,
      n,
      rowOf(command.bias, row, n),
      rowOf(command.allowed, row, words),
      rowOf(command.inSequence, row, words),
      rowOf(command.generated, row, n),
      numberAt(command.repetitionPenalty, row, 1),
      numberAt(command.presencePenalty, row, 0),
      numberAt(command.frequencyPenalty, row, 0),
    );
    const topKs = command.topK;
    const temperature = numberAt(command.temperature, row, 0);
    const token =
      temperature > 0
        ? draw(
            scores,
            heap,
            vocabulary,
            temperature,
            topKs == 0 ? 0 : load<i32>(topKs + (row << 2)),
            numberAt(command.topP, row, 1),
            numberAt(command.minP, row, 0),
            randomAt(command.seeds + (row << 3), load<u32>(command.positions + (row << 2))),
          )
        : likeliest(scores, vocabulary);
    store<i32>(command.tokens + (row << 2), token);
    const normalizer = logSumExp(raw, n);
    const logit = <f64>load<f32>(raw + (<usize>token << 2));
    store<f32>(command.logprobs + (row << 2), <f32>(logit - normalizer));
    if (numTop > 0) {
      const at = (row * <usize>numTop) << 2;
      best(raw, n, numTop, normalizer, command.topTokens + at, command.topLogprobs + at);
    }
  }
}

/** Row `row` of `columns` numbers of 32 bits; 0 where there are none. */
// @ts-ignore: decorator
@inline
function rowOf(numbers: usize, row: usize, columns: usize): usize {
  return numbers == 0 ? 0 : numbers + ((row * columns) << 2);
}

/** A number of a row, or what it is where there are none. */
// @ts-ignore: decorator
@inline
function numberAt(values: usize, row: usize, otherwise: f64): f64 {
  return values == 0 ? otherwise : <f64>load<f32>(values + (row << 2));
}

// @ts-ignore: decorator
@inline
function hasBit(bits: usize, token: usize): bool {
  return ((load<u32>(bits + ((token >> 5) << 2)) >> <u32>(token & 31)) & 1) == 1;
}

/** Scores: logits after bias, allowed tokens and penalties. */
function restrict(
  raw: usize,
  scores: usize,
  count: usize,
  bias: usize,
  allowed: usize,
  inSequence: usize,
  generated: usize,
  repetition: f64,
  presence: f64,
  frequency: f64,
): void {
  for (let t: usize = 0; t < count; t++) {
    let score = <f64>load<f32>(raw + (t << 2));
    if (bias != 0) score += <f64>load<f32>(bias + (t << 2));
    if (inSequence != 0 && hasBit(inSequence, t)) {
      score = score > 0 ? score / repetition : score * repetition;
    }
    if (generated != 0) {
      const times = load<i32>(generated + (t << 2));
      if (times > 0) score = score - presence - <f64>times * frequency;
    }
    if (allowed != 0 && !hasBit(allowed, t)) score = -Infinity;
    store<f64>(scores + (t << 3), score);
  }
}

/** The token with the largest score, the first of equals; 0 where all are impossible. */
function likeliest(scores: usize, count: i32): i32 {
  let best = 0;
  let most: f64 = -Infinity;
  for (let t = 0; t < count; t++) {
    const score = load<f64>(scores + (<usize>t << 3));
    if (score > most) {
      most = score;
      best = t;
    }
  }
  return best;
}

/** Whether token a comes before token b: by falling score, of equals the lower one first. */
// @ts-ignore: decorator
@inline
function isBefore(scores: usize, a: i32, b: i32): bool {
  const x = load<f64>(scores + (<usize>a << 3));
  const y = load<f64>(scores + (<usize>b << 3));
  return x > y || (x == y && a < b);
}

// @ts-ignore: decorator
@inline
function tokenAt(heap: usize, place: i32): i32 {
  return load<i32>(heap + (<usize>place << 2));
}

/** Lets the token at `place` sink to where it belongs among the first `size` places. */
function sink(scores: usize, heap: usize, start: i32, size: i32): void {
  let place = start;
  const token = tokenAt(heap, place);
  while (true) {
    let child = 2 * place + 1;
    if (child >= size) break;
    if (child + 1 < size && isBefore(scores, tokenAt(heap, child + 1), tokenAt(heap, child))) child++;
    if (!isBefore(scores, tokenAt(heap, child), token)) break;
    store<i32>(heap + (<usize>place << 2), tokenAt(heap, child));
    place = child;
  }
  store<i32>(heap + (<usize>place << 2), token);
}

/**
 * Draws a token by temperature, top k, top p and min p. The heap gives tokens one after the other, and
 * those that it has given stand behind it, the first one last: as many as are looked at are sorted.
 */
function draw(
  scores: usize,
  heap: usize,
  count: i32,
  temperature: f64,
  topK: i32,
  topP: f64,
  minP: f64,
  random: f64,
): i32 {
  let size = 0;
  for (let t = 0; t < count; t++) {
    if (load<f64>(scores + (<usize>t << 3)) > -Infinity) {
      store<i32>(heap + (<usize>size << 2), t);
      size++;
    }
  }
  if (size == 0) return 0;
  for (let place = (size >> 1) - 1; place >= 0; place--) sink(scores, heap, place, size);
  const candidates = size;
  const limit = topK > 0 ? min(topK, candidates) : candidates;
  const best = load<f64>(scores + (<usize>tokenAt(heap, 0) << 3));
  const factor = LOG2E / temperature;
  let given = 0;
  let total: f64 = 0;
  if (limit < candidates) {
    for (; given < limit; given++) total += weightOf(scores, give(scores, heap, candidates, given), best, factor);
  } else {
    for (let i = 0; i < candidates; i++) total += weightOf(scores, tokenAt(heap, i), best, factor);
  }
  let kept = limit;
  let mass = total;
  if (topP < 1 || minP > 0) {
    kept = 0;
    mass = 0;
    while (kept < limit && (kept == 0 || mass < topP * total)) {
      if (kept == given) {
        give(scores, heap, candidates, given);
        given++;
      }
      const weight = weightOf(scores, tokenAt(heap, candidates - 1 - kept), best, factor);
      if (kept > 0 && weight < minP) break;
      mass += weight;
      kept++;
    }
  }
  let rest = random * mass;
  for (let i = 0; i < kept; i++) {
    if (i == given) {
      give(scores, heap, candidates, given);
      given++;
    }
    const token = tokenAt(heap, candidates - 1 - i);
    rest -= weightOf(scores, token, best, factor);
    if (rest < 0) return token;
  }
  return tokenAt(heap, candidates - kept);
}

/** Moves the first token of the heap behind it. */
function give(scores: usize, heap: usize, candidates: i32, given: i32): i32 {
  const size = candidates - given - 1;
  const token = tokenAt(heap, 0);
  store<i32>(heap, tokenAt(heap, size));
  store<i32>(heap + (<usize>size << 2), token);
  if (size > 1) sink(scores, heap, 0, size);
  return token;
}

function weightOf(scores: usize, token: i32, best: f64, factor: f64): f64 {
  return exp2((load<f64>(scores + (<usize>token << 3)) - best) * factor);
}

/** 53 bits of Philox 4×32-10: the seed is the key, the position the counter. */
function randomAt(seed: usize, position: u32): f64 {
  let c0 = position;
  let c1: u32 = 0;
  let c2: u32 = 0;
  let c3: u32 = 0;
  let k0 = load<u32>(seed);
  let k1 = load<u32>(seed, 4);
  for (let round = 0; round < 10; round++) {
    const first = <u64>0xd2511f53 * <u64>c0;
    const second = <u64>0xcd9e8d57 * <u64>c2;
    c0 = <u32>(second >> 32) ^ c1 ^ k0;
    c2 = <u32>(first >> 32) ^ c3 ^ k1;
    c1 = <u32>second;
    c3 = <u32>first;
    k0 += 0x9e3779b9;
    k1 += 0xbb67ae85;
  }
  return (<f64>(c0 >> 5) * 67108864 + <f64>(c1 >> 6)) / 9007199254740992;
}

function logSumExp(raw: usize, count: usize): f64 {
  let most: f32 = -Infinity;
  for (let t: usize = 0; t < count << 2; t += 4) most = max(most, load<f32>(raw + t));
  let sum: f64 = 0;
  for (let t: usize = 0; t < count << 2; t += 4) {
    sum += exp2(<f64>(load<f32>(raw + t) - most) * LOG2E);
  }
  return <f64>most + log2(sum) * LN2;
}

/** The likeliest tokens in falling order and their log-probabilities. */
function best(
  raw: usize,
  count: usize,
  numTop: i32,
  normalizer: f64,
  tokens: usize,
  logprobs: usize,
): void {
  let found = 0;
  for (let t: usize = 0; t < count; t++) {
    const logit = load<f32>(raw + (t << 2));
    let place = found;
    if (found == numTop) {
      if (!(logit > load<f32>(raw + (<usize>load<i32>(tokens + (<usize>(numTop - 1) << 2)) << 2)))) continue;
      place--;
    } else found++;
    while (place > 0) {
      const other = load<i32>(tokens + (<usize>(place - 1) << 2));
      if (!(logit > load<f32>(raw + (<usize>other << 2)))) break;
      store<i32>(tokens + (<usize>place << 2), other);
      place--;
    }
    store<i32>(tokens + (<usize>place << 2), <i32>t);
  }
  for (let i: usize = 0; i < <usize>numTop << 2; i += 4) {
    const logit = load<f32>(raw + (<usize>load<i32>(tokens + i) << 2));
    store<f32>(logprobs + i, <f32>(<f64>logit - normalizer));
  }
}
