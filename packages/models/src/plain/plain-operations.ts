import { indexDim } from '../config/indexer-config.ts';
import type { RoutingConfig } from '../config/model-config.ts';
import { type Sequence, slotOf } from '../layers/batch.ts';
import type {
  AttentionCall,
  AttentionForm,
  Head,
  IndexKeysCall,
  IndexQueriesCall,
  LatentWrite,
  Operations,
  WeightPart,
  WeightStore,
} from '../layers/operations.ts';
import type { Linear, MlpWeights, MoeWeights } from '../layers/weights.ts';
import { attendAbsorbed } from './attend-absorbed.ts';
import { attendChosen } from './attend-chosen.ts';
import { attendExpanded } from './attend-expanded.ts';
import { addScaled, normRow, rotate, scaleBy, swiGlu } from './elementwise.ts';
import { expertsOf, takeRows } from './experts.ts';
import { chooseTokens, writeIndexKeys } from './index-tokens.ts';
import { matrix, type PlainMatrix, rowsOf, takeColumns } from './matrix.ts';
import { dotRows } from './products.ts';

/** Rows of weights that are read at once, in elements: bounds what is held beside the matrix. */
const readElements = 1 << 22;

/** The longest time without a turn for the rest of the program, but for a layer. */
const pauseMilliseconds = 20;

/**
 * The operations in TypeScript: float32 values, sums in double precision, on one thread. Slow beside a
 * device, and what devices are held to.
 */
export class PlainOperations implements Operations<PlainMatrix>, WeightStore<PlainMatrix> {
  readonly pageSize = 64;
  readonly forms: readonly AttentionForm[] = ['absorbed', 'expanded'];
  #lastPause = 0;

  empty(rows: number, columns: number): PlainMatrix {
    return matrix(rows, columns);
  }

  createCache(pages: number, columns: number): PlainMatrix {
    return matrix(pages * this.pageSize, columns);
  }

  async load(parts: readonly WeightPart[]): Promise<PlainMatrix> {
    const columns = parts[0]?.columns ?? 0;
    const whole = matrix(
      parts.reduce((sum, { rows }) => sum + rows, 0),
      columns,
    );
    let at = 0;
    const step = Math.max(1, Math.floor(readElements / Math.max(1, columns)));
    for (const { rows, readRows } of parts) {
      for (let begin = 0; begin < rows; begin += step) {
        const values = await readRows(begin, Math.min(rows, begin + step));
        whole.data.set(values, at);
        at += values.length;
      }
    }
    return whole;
  }

  embed(table: PlainMatrix, ids: Int32Array, scale: number): PlainMatrix {
    const out = takeRows(table, ids);
    if (scale !== 1) scaleBy(out, scale);
    return out;
  }

  linear(x: PlainMatrix, { weight, bias }: Linear<PlainMatrix>): PlainMatrix {
    const out = matrix(x.rows, weight.rows);
    dotRows(rowsOf(x), rowsOf(weight), rowsOf(out), x.rows, weight.rows, x.columns);
    if (bias !== undefined) {
      for (let i = 0; i < out.data.length; i++) {
        out.data[i] = (out.data[i] as number) + (bias.data[i % weight.rows] as number);
      }
    }
    return out;
  }

  rmsNorm(x: PlainMatrix, gain: PlainMatrix, eps: number): PlainMatrix {
    const out = matrix(x.rows, x.columns);
    for (let row = 0; row < x.rows; row++) {
      const at = row * x.columns;
      normRow(x.data, at, x.columns, gain.data, eps, out.data, at);
    }
    return out;
  }

  logits(x: PlainMatrix, weight: PlainMatrix, scale: number): PlainMatrix {
    const out = this.linear(x, { weight });
    if (scale !== 1) scaleBy(out, scale);
    return out;
  }

  head(hidden: PlainMatrix, { norm, eps, weight, scale }: Head<PlainMatrix>): PlainMatrix {
    return this.logits(this.rmsNorm(hidden, norm, eps), weight, scale);
  }

  addLinear(target: PlainMatrix, x: PlainMatrix, map: Linear<PlainMatrix>, scale: number): void {
    addScaled(target, this.linear(x, map), scale);
  }

  columns(x: PlainMatrix, begin: number, end: number): PlainMatrix {
    return takeColumns(x, begin, end);
  }

  addMlp(
    target: PlainMatrix,
    x: PlainMatrix,
    { gateUp, down }: MlpWeights<PlainMatrix>,
    scale: number,
  ): void {
    const active = swiGlu(this.linear(x, { weight: gateUp }));
    addScaled(target, this.linear(active, { weight: down }), scale);
  }

  addExperts(
    target: PlainMatrix,
    x: PlainMatrix,
    weights: MoeWeights<PlainMatrix>,
    routing: RoutingConfig,
    scale: number,
  ): void {
    const logits = this.logits(x, weights.router, 1);
    addScaled(target, expertsOf(x, logits, weights, routing), scale);
  }

  writeLatents(write: LatentWrite<PlainMatrix>): PlainMatrix {
    const { cache, latents, norm, queries, rotation, sequences, config } = write;
    const { kvLoraRank, ropeDim, latentNormEps } = config;
    for (const sequence of sequences) rotateQueries(write, sequence);
    for (const { pages, start, count, row } of sequences) {
      for (let i = 0; i < count; i++) {
        const from = (row + i) * latents.columns;
        const to = slotOf(pages, start + i, this.pageSize) * cache.columns;
        normRow(latents.data, from, kvLoraRank, norm.data, latentNormEps, cache.data, to);
        const key = latents.data.subarray(from + kvLoraRank, from + kvLoraRank + ropeDim);
        cache.data.set(key, to + kvLoraRank);
        rotate(cache.data, to + kvLoraRank, rotation, row + i);
      }
    }
    return queries;
  }

  createIndexCache(pages: number): PlainMatrix {
    return matrix(pages * this.pageSize, indexDim);
  }

  writeIndexKeys(call: IndexKeysCall<PlainMatrix>): void {
    writeIndexKeys(call, this.pageSize);
  }

  chooseTokens(call: IndexQueriesCall<PlainMatrix>): PlainMatrix {
    return chooseTokens(call, this.pageSize);
  }

  attend(form: AttentionForm, call: AttentionCall<PlainMatrix>): void {
    const ofForm = form === 'absorbed' ? attendAbsorbed : attendExpanded;
    const attend = call.chosen ? attendChosen : ofForm;
    for (const sequence of call.sequences) attend(call, sequence, this.pageSize);
  }

  takeRows(x: PlainMatrix, rows: Int32Array): PlainMatrix {
    return takeRows(x, rows);
  }

  async read(x: PlainMatrix): Promise<Float32Array> {
    return x.data;
  }

  pause(): Promise<void> | undefined {
    const now = performance.now();
    if (now - this.#lastPause < pauseMilliseconds) return undefined;
    return nextTurn().then(() => {
      this.#lastPause = performance.now();
    });
  }

  scope<Result>(run: () => Promise<Result>): Promise<Result> {
    return run();
  }

  layer(run: () => void): void {
    run();
  }

  release(): void {
    // The garbage collector's work.
  }
}

function rotateQueries(write: LatentWrite<PlainMatrix>, { row: first, count }: Sequence): void {
  const { queries, rotation, config } = write;
  const { numHeads, nopeDim, ropeDim } = config;
  for (let row = first; row < first + count; row++) {
    for (let head = 0; head < numHeads; head++) {
      const at = row * queries.columns + head * (nopeDim + ropeDim) + nopeDim;
      rotate(queries.data, at, rotation, row);
    }
  }
}

/** Timers, input and output get their turn. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve);
  });
}
