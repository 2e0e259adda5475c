import type { AttentionConfig, IndexerConfig } from '../config/model-config.ts';
import { attentionForm } from './attention-form.ts';
import type { Batch, Sequence } from './batch.ts';
import type { AttentionForm, Operations } from './operations.ts';
import type { Rotation } from './rotary.ts';
import type { AttentionWeights, IndexerWeights } from './weights.ts';

/** What a step hands to every layer. */
export interface Step<Matrix> {
  readonly batch: Batch;
  readonly rotation: Rotation;
  /** Of a model with an indexer. */
  readonly sparse?: SparseStep<Matrix>;
}

/** What an indexer needs in a step. */
export interface SparseStep<Matrix> {
  readonly config: IndexerConfig;
  /** The rotation with the pairs of the indexer. */
  readonly rotation: Rotation;
  /** Sequences that are longer than what a query attends to. */
  readonly long: readonly Sequence[];
  /** What the last layer that chooses chose for them. */
  chosen?: Matrix;
}

/** What the layers keep of a sequence's tokens. */
export interface LayerCache<Matrix> {
  /** Normed latents and rotated keys. */
  readonly latents: Matrix;
  /** Of layers that choose. */
  readonly indexKeys?: Matrix;
}

/**
 * Multi-head latent attention (DeepSeek-V2, §2.1), up to the projection out of it: (rows, heads × v). The
 * cache holds one normed latent and one rotated key a token, for all heads.
 */
export function latentAttention<Matrix>(
  ops: Operations<Matrix>,
  config: AttentionConfig,
  weights: AttentionWeights<Matrix>,
  x: Matrix,
  { latents: cache, indexKeys }: LayerCache<Matrix>,
  { batch, rotation, sparse }: Step<Matrix>,
): Matrix {
  const { queryUp, latentNorm, keyValue } = weights;
  const { numHeads, qLoraRank, kvLoraRank, nopeDim, ropeDim, latentNormEps } = config;
  const width = qLoraRank ?? numHeads * (nopeDim + ropeDim);
  const projected = ops.linear(x, weights.input);
  const first = ops.columns(projected, 0, width);
  const compressed = queryUp && ops.rmsNorm(first, queryUp.norm, latentNormEps);
  const queries = queryUp && compressed ? ops.linear(compressed, queryUp.projection) : first;
  const latents = ops.columns(projected, width, width + kvLoraRank + ropeDim);
  const { sequences: all } = batch;
  const write = { cache, latents, norm: latentNorm, queries, rotation, sequences: all, config };
  const rotated = ops.writeLatents(write);

  const out = ops.empty(batch.tokens.length, numHeads * config.vDim);
  const call = { queries, rotated, keyValue, cache, config, out };
  const isLong = (sequence: Sequence) => sparse?.long.includes(sequence) ?? false;
  if (sparse && compressed && weights.indexer && indexKeys) {
    const own = { ops, sparse, weights: weights.indexer, cache: indexKeys };
    choose(own, x, compressed, all);
  }
  if (sparse?.chosen) {
    ops.attend('absorbed', { ...call, sequences: sparse.long, chosen: sparse.chosen });
  }
  const whole = all.filter((sequence) => !isLong(sequence));
  for (const [form, sequences] of byForm(config, whole, ops.forms)) {
    ops.attend(form, { ...call, sequences });
  }
  return out;
}

/** What an indexer works with. */
interface Indexer<Matrix> {
  readonly ops: Operations<Matrix>;
  readonly sparse: SparseStep<Matrix>;
  readonly weights: IndexerWeights<Matrix>;
  readonly cache: Matrix;
}

/** Keeps the index keys of all new tokens, and chooses for sequences that are long. */
function choose<Matrix>(
  { ops, sparse, weights, cache }: Indexer<Matrix>,
  x: Matrix,
  compressed: Matrix,
  all: readonly Sequence[],
): void {
  const { rotation, config, long } = sparse;
  const keys = ops.linear(x, { weight: weights.key });
  const { keyNorm: norm, keyBias: bias } = weights;
  ops.writeIndexKeys({ ...{ keys, norm, bias, rotation, cache }, sequences: all });
  if (long.length === 0) return;
  sparse.chosen = ops.chooseTokens({
    queries: ops.linear(compressed, { weight: weights.query }),
    weights: ops.logits(x, weights.headWeights, 1),
    ...{ rotation, cache, sequences: long, config },
  });
}

function byForm(
  config: AttentionConfig,
  sequences: readonly Sequence[],
  forms: readonly AttentionForm[],
): Map<AttentionForm, Sequence[]> {
  const groups = new Map<AttentionForm, Sequence[]>();
  for (const sequence of sequences) {
    const best = attentionForm(config, sequence.start, sequence.count);
    const form = forms.includes(best) ? best : 'absorbed';
    groups.set(form, [...(groups.get(form) ?? []), sequence]);
  }
  return groups;
}
