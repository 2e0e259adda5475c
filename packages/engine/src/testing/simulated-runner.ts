import type { BatchPlan, ModelRunner, SlotStart, StepOutput } from '../runner/model-runner.ts';
import type { Random } from './random.ts';
import type { SimulatedTime } from './simulated-time.ts';

/** The state of a sequence that nothing was computed of. */
export const empty = 0x811c9dc5;
/** In place of a token. */
const [nothing, nonsense] = [-1, -2];
export const vocabularySize = 50;

/** The state after one more token: any change of any token before changes it. */
export function nextState(state: number, token: number): number {
  return Math.imul(state ^ token ^ (state >>> 15), 0x01000193) >>> 0;
}

/** What the simulated model generates after a sequence. */
export function sampleAfter(tokens: readonly number[], seed: number): number {
  return sample(tokens.reduce(nextState, empty), seed);
}

/** What is drawn in that state. */
function sample(state: number, seed: number): number {
  return (nextState(nextState(state, seed), 7) >>> 8) % vocabularySize;
}

export interface RunnerFaults {
  /** How often a step fails, having written nonsense. */
  readonly failure: number;
  /** How often a step takes a hundred times as long. */
  readonly lateness: number;
}

interface Row extends SlotStart {
  lastToken: number;
}

/**
 * A device without a model: its K/V of a token is the token itself, and what it samples depends on every
 * K/V that it reads. So one page that is written by somebody else, read too early or freed too soon
 * changes the text. It also refuses plans that no device could run.
 */
export class SimulatedRunner implements ModelRunner {
  readonly plans: BatchPlan[] = [];
  readonly violations: string[] = [];
  faults: RunnerFaults = { failure: 0, lateness: 0 };
  /** Steps that fail in any case. */
  readonly failAt = new Set<number>();
  numFailed = 0;
  /** What the answer to the step that was executed last says besides. */
  protected reported: Pick<StepOutput, 'swapIn'> = {};
  protected readonly time: SimulatedTime;
  protected readonly random: Random;
  readonly #pageSize: number;
  readonly #maxInFlight: number;
  /** One token in each cell; `nothing` where nothing was computed. */
  readonly #cells: Float64Array;
  readonly #rows = new Map<number, Row>();
  protected readonly inFlight: BatchPlan[] = [];
  #isFreeAt = 0;
  #lastStep = 0;

  constructor(
    time: SimulatedTime,
    random: Random,
    sizes: { readonly totalPages: number; readonly pageSize: number; readonly maxInFlight: number },
  ) {
    this.time = time;
    this.random = random;
    this.#pageSize = sizes.pageSize;
    this.#maxInFlight = sizes.maxInFlight;
    this.#cells = new Float64Array(sizes.totalPages * sizes.pageSize).fill(nothing);
  }

  run(plan: BatchPlan): Promise<StepOutput> {
    this.#checkPlan(plan);
    this.plans.push(plan);
    this.inFlight.push(plan);
    const durationMs = this.durationOf(plan) * (this.random.chance(this.faults.lateness) ? 100 : 1);
    this.#isFreeAt = Math.max(this.time.now, this.#isFreeAt) + durationMs;
    return new Promise((resolve, reject) => {
      this.time.at(this.#isFreeAt, () => {
        this.inFlight.shift();
        const hasFailed = this.failAt.has(plan.step) || this.random.chance(this.faults.failure);
        // The device works in order, whatever the host thinks meanwhile.
        const tokens = this.execute(plan, hasFailed);
        if (hasFailed) {
          this.numFailed++;
          reject(new Error('the simulated device has failed'));
        } else resolve({ tokens, durationMs, ...this.reported });
      });
    });
  }

  /** Milliseconds: a step by itself, each decode, each token of a prompt. */
  durationOf({ decodes, prefills }: BatchPlan): number {
    const tokens = prefills.reduce((sum, chunk) => sum + chunk.tokens.length, 0);
    return 5 + 0.1 * decodes.length + 0.05 * tokens;
  }

  protected execute({ starts, decodes, prefills }: BatchPlan, isNonsense: boolean): number[] {
    for (const start of starts) this.#rows.set(start.slot, { ...start, lastToken: nothing });
    const tokens: number[] = [];
    for (const { slot, position, token, pages } of decodes) {
      const row = this.#rows.get(slot);
      const input = isNonsense ? nonsense : (token ?? row?.lastToken ?? nothing);
      this.#cells[this.#cell(pages, position)] = input;
      tokens.push(this.#sample(row, pages, position));
    }
    for (const { slot, start, tokens: inputs, pages, samples } of prefills) {
      for (const [i, token] of inputs.entries())
        this.#cells[this.#cell(pages, start + i)] = isNonsense ? nonsense : token;
      const end = start + inputs.length - 1;
      if (samples) tokens.push(this.#sample(this.#rows.get(slot), pages, end));
    }
    return tokens;
  }

  #sample(row: Row | undefined, pages: readonly number[], position: number): number {
    if (row === undefined) return 0;
    let state = empty;
    for (let i = 0; i <= position; i++)
      state = nextState(state, this.#cells[this.#cell(pages, i)] ?? nothing);
    row.lastToken = sample(state, row.sampling.seed ?? 0);
    return row.lastToken;
  }

  #cell(pages: readonly number[], position: number): number {
    const page = pages[Math.floor(position / this.#pageSize)] ?? 0;
    return page * this.#pageSize + (position % this.#pageSize);
  }

  #checkPlan(plan: BatchPlan): void {
    const { step, decodes, prefills } = plan;
    const check = (isRight: boolean, what: string) => {
      if (!isRight) this.violations.push(`step ${step}: ${what}`);
    };
    check(step === this.#lastStep + 1, `comes after ${this.#lastStep}`);
    this.#lastStep = step;
    check(this.inFlight.length < this.#maxInFlight, 'too many steps in flight');
    check(decodes.length + prefills.length > 0, 'is empty');
    const slots = [...decodes, ...prefills].map(({ slot }) => slot);
    check(new Set(slots).size === slots.length, 'a row is there twice');
    for (const { start, tokens, samples } of prefills) {
      check(start % this.#pageSize === 0 && tokens.length > 0, 'a chunk begins inside a page');
      check(samples || tokens.length % this.#pageSize === 0, 'a chunk ends inside a page');
    }
    const readers = this.#readers([plan, ...this.inFlight]);
    for (const [page, slot] of this.#writes(plan)) {
      check(page > 0, 'a row writes the page for padding');
      // A row that shares the page, or has it from a step in flight, would find other tokens.
      check(slot === readers.get(page), `page ${page} is written, and used by another row`);
    }
    const slotsInFlight = new Set(this.#readers(this.inFlight).values());
    // A page that several rows read does not tell whose it is; each row has some of its own.
    for (const { slot } of plan.starts)
      check(!slotsInFlight.has(slot), `row ${slot} is given away while a step uses it`);
  }

  /** The pages that a plan writes, and for which row. */
  #writes({ decodes, prefills }: BatchPlan): Map<number, number | 'several'> {
    const writes = new Map<number, number | 'several'>();
    const add = (pages: readonly number[], first: number, last: number, owner: number) => {
      for (let i = Math.floor(first / this.#pageSize); i * this.#pageSize <= last; i++) {
        const page = pages[i] ?? 0;
        writes.set(page, (writes.get(page) ?? owner) === owner ? owner : 'several');
      }
    };
    for (const { slot, position, pages } of decodes) add(pages, position, position, slot);
    for (const { slot, start, tokens, pages } of prefills)
      add(pages, start, start + tokens.length - 1, slot);
    return writes;
  }

  /** The pages that plans read or write, as they were needed then (later ones are not theirs), by row. */
  #readers(plans: readonly BatchPlan[]): Map<number, number | 'several'> {
    const readers = new Map<number, number | 'several'>();
    const add = (slot: number, pages: readonly number[], numTokens: number) => {
      for (let i = 0; i * this.#pageSize < numTokens; i++) {
        const page = pages[i] ?? 0;
        readers.set(page, (readers.get(page) ?? slot) === slot ? slot : 'several');
      }
    };
    for (const { decodes, prefills } of plans) {
      for (const { slot, pages, position } of decodes) add(slot, pages, position + 1);
      for (const { slot, pages, start, tokens } of prefills)
        add(slot, pages, start + tokens.length);
    }
    return readers;
  }
}
