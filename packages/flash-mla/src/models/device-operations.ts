import {
  type AttentionCall,
  type AttentionForm,
  type Head,
  type IndexKeysCall,
  type IndexQueriesCall,
  type LatentWrite,
  type Linear,
  type MlpWeights,
  type ModelConfig,
  type MoeWeights,
  type Operations,
  parametersOf,
  type RoutingConfig,
  type WeightPart,
  type WeightStore,
  type WeightUse,
} from '@flash-mla/models';
import { addScaled, swiGlu } from '../ops/activation/index.ts';
import { embedding } from '../ops/embedding/index.ts';
import { linear } from '../ops/gemm/index.ts';
import { expertMlp, routeExperts } from '../ops/moe/index.ts';
import { rmsNorm } from '../ops/norm/index.ts';
import type { Device } from '../runtime/device/device.ts';
import type { Tensor } from '../runtime/tensor/tensor.ts';
import { AbsorbedAttention } from './absorbed-attention.ts';
import { checkCacheDType, type ModelCacheDType } from './cache-dtype.ts';
import { cacheColumns, checkCacheRows } from './cache-rows.ts';
import { DeviceRunner } from './device-runner.ts';
import { ExpandedAttention } from './expanded-attention.ts';
import { DeviceHotCache } from './hot-cache.ts';
import { type StepInputs, StepTensors } from './step-tensors.ts';
import { TokenChoice } from './token-choice.ts';
import { canStayQuantized, loadConverted, loadQuantized } from './weight-loading.ts';
import { writeLatents } from './write-latents.ts';

/** Bytes of weights that lie within the memory of the processor's device for certain. */
const largestNearWeights = 2 ** 31;

/** bf16 or f32, two dimensions, contiguous. Vectors are matrices of one row. */
export type DeviceMatrix = Tensor<'bf16' | 'f32'>;

export interface DeviceOperationsOptions {
  /** Of what lies between the operations. Default: bf16 on CUDA, float32 elsewhere. */
  readonly activations?: 'bf16' | 'f32';
  /** Of the cache's rows. Default bf16. */
  readonly kvCacheDType?: ModelCacheDType;
}

/**
 * The operations of models on a device: weights in bf16 or, where the checkpoint has them so, e4m3; the
 * cache in bf16 or packed FP8 rows; the hidden state and logits in float32. What else lies between the operations is bf16 on
 * CUDA, whose tensor cores take nothing else, and float32 elsewhere. Calls only enqueue.
 */
export class DeviceOperations implements Operations<DeviceMatrix>, WeightStore<DeviceMatrix> {
  readonly pageSize = 64;
  readonly forms: readonly AttentionForm[];
  readonly createRunner?: Operations<DeviceMatrix>['createRunner'];
  readonly createHotCache?: NonNullable<Operations<DeviceMatrix>['createHotCache']>;
  /** Of what lies between the operations. */
  readonly #activations: 'bf16' | 'f32';
  readonly #cacheDType: ModelCacheDType;
  readonly #device: Device;
  readonly #step: StepTensors;
  readonly #absorbed: AbsorbedAttention;
  readonly #expanded: ExpandedAttention;
  readonly #choice: TokenChoice;
  /** Of weights in e4m3. */
  readonly #scales = new WeakMap<DeviceMatrix, Tensor<'f32'>>();

  constructor(device: Device, options: DeviceOperationsOptions = {}) {
    const { activations, kvCacheDType } = options;
    this.#cacheDType = checkCacheDType('kvCacheDType', kvCacheDType);
    this.#device = device;
    const { backend } = device.info;
    const isCuda = backend === 'cuda' || backend === 'sim';
    this.#activations = activations ?? (isCuda ? 'bf16' : 'f32');
    this.#step = new StepTensors(device);
    if (recordsSteps(device)) {
      this.createRunner = (decoder, cache, hot) =>
        isWorthRecording(device, decoder.config)
          ? new DeviceRunner(device, this, decoder, cache, hot)
          : undefined;
    }
    this.#absorbed = new AbsorbedAttention(this.#step, this.pageSize);
    this.#expanded = new ExpandedAttention(this.#step, this.pageSize);
    // Dense attention takes neither float32 nor packed rows.
    const isDense = this.#activations === 'bf16' && this.#cacheDType === 'bf16';
    this.forms = isDense ? ['absorbed', 'expanded'] : ['absorbed'];
    this.#choice = new TokenChoice(this.#step, this.pageSize);
    // A GPU in a browser cannot read memory of the host.
    if (backend === 'webgpu') return;
    this.createHotCache = (cache, shape) => {
      const hot = new DeviceHotCache(this.#step, this.pageSize, cache, shape);
      this.#absorbed.hot = hot;
      return hot;
    };
  }

  empty(rows: number, columns: number): DeviceMatrix {
    return this.#step.empty([rows, columns], this.#activations);
  }

  createIndexCache(pages: number): DeviceMatrix {
    return this.#choice.createCache(pages);
  }

  writeIndexKeys(call: IndexKeysCall<DeviceMatrix>): void {
    this.#choice.writeKeys(call);
  }

  chooseTokens(call: IndexQueriesCall<DeviceMatrix>): DeviceMatrix {
    return this.#choice.choose(call);
  }

  checkModel(config: ModelConfig): void {
    checkCacheRows(config, this.#cacheDType);
  }

  createCache(pages: number, columns: number): DeviceMatrix {
    const dtype = this.#cacheDType === 'fp8' ? 'u8' : 'bf16';
    const shape = [pages * this.pageSize, cacheColumns(columns, this.#cacheDType)];
    // Nothing but what takes a cache sees this matrix.
    return this.#device.empty(shape, dtype) as Tensor as DeviceMatrix;
  }

  /** Vectors, which are few, stay float32; so do keys and values from the latent of an e4m3 checkpoint. */
  async load(parts: readonly WeightPart[], use: WeightUse): Promise<DeviceMatrix> {
    if (parts.length === 1 && parts[0]?.rows === 1)
      return loadConverted(this.#device, parts, 'f32');
    if (!canStayQuantized(parts, use)) return loadConverted(this.#device, parts, 'bf16');
    if (use === 'latent') return loadConverted(this.#device, parts, 'f32');
    const { codes, scales } = await loadQuantized(this.#device, parts);
    // Nothing but `linear` and `experts` sees these matrices, and they ask for the scales.
    const matrix = codes as Tensor as DeviceMatrix;
    this.#scales.set(matrix, scales);
    return matrix;
  }

  release(x: DeviceMatrix): void {
    this.#scales.get(x)?.dispose();
    x.dispose();
  }

  embed(table: DeviceMatrix, ids: Int32Array, scale: number): DeviceMatrix {
    const rows = this.#step.inputs?.ids ?? this.#step.integers(ids);
    return this.#step.keep(embedding({ table, ids: rows, scale, dtype: 'f32' }));
  }

  linear(x: DeviceMatrix, map: Linear<DeviceMatrix>): DeviceMatrix {
    const dtype = this.#activations;
    return this.#step.keep(linear({ x, dtype, ...this.#mapOf(map) }));
  }

  logits(x: DeviceMatrix, weight: DeviceMatrix, scale: number): DeviceMatrix {
    return this.#step.keep(linear({ x, scale, dtype: 'f32', ...this.#mapOf({ weight }) }));
  }

  /**
   * The hidden state's last rounding would decide between tokens that are nearly as likely. Where products
   * take bf16, its rows are two: what bf16 holds of them, and what it leaves over. Both pass the weights at
   * once, which is what costs time.
   */
  head(hidden: DeviceMatrix, { norm, eps, weight, scale }: Head<DeviceMatrix>): DeviceMatrix {
    const gain = asVector(norm);
    const normed = this.#step.keep(rmsNorm({ x: hidden, weight: gain, eps, dtype: 'f32' }).out);
    if (this.#activations === 'f32') return this.logits(normed, weight, scale);
    const { 0: rows = 0, 1: columns = 0 } = hidden.shape;
    const parts = this.#step.empty([2 * rows, columns], 'bf16');
    const [first, second] = [parts.slice(0, 0, rows), parts.slice(0, rows, 2 * rows)];
    for (const out of [first, second]) rmsNorm({ x: hidden, weight: gain, eps, out });
    // Less than nothing of what is left over: subtracted again from the logits.
    addScaled({ target: second, x: normed, scale: -1 });
    const both = linear({ x: parts, scale, dtype: 'f32', ...this.#mapOf({ weight }) });
    const logits = this.#step.keep(both.slice(0, 0, rows));
    addScaled({ target: logits, x: both.slice(0, rows, 2 * rows), scale: -1 });
    return logits;
  }

  addLinear(target: DeviceMatrix, x: DeviceMatrix, map: Linear<DeviceMatrix>, scale: number): void {
    linear({ x, scale, residual: target, out: target, ...this.#mapOf(map) });
  }

  #mapOf({ weight, bias }: Linear<DeviceMatrix>) {
    return { weight, bias: bias && asVector(bias), weightScales: this.#scales.get(weight) };
  }

  rmsNorm(x: DeviceMatrix, gain: DeviceMatrix, eps: number): DeviceMatrix {
    const dtype = this.#activations;
    return this.#step.keep(rmsNorm({ x, weight: asVector(gain), eps, dtype }).out);
  }

  columns(x: DeviceMatrix, begin: number, end: number): DeviceMatrix {
    return x.slice(1, begin, end);
  }

  addMlp(
    target: DeviceMatrix,
    x: DeviceMatrix,
    { gateUp, down }: MlpWeights<DeviceMatrix>,
    scale: number,
  ): void {
    const hidden = this.linear(x, { weight: gateUp });
    this.addLinear(target, this.#step.keep(swiGlu({ x: hidden })), { weight: down }, scale);
  }

  addExperts(
    target: DeviceMatrix,
    x: DeviceMatrix,
    { router, routerBias: bias, experts: { gateUp, down }, numShared }: MoeWeights<DeviceMatrix>,
    routing: RoutingConfig,
    scale: number,
  ): void {
    const logits = this.logits(x, router, 1);
    const { experts, weights } = routeExperts({
      logits,
      sharedExperts: numShared,
      topK: routing.topK,
      scoring: routing.scores,
      ...(bias !== undefined && { bias: asVector(bias) as Tensor<'f32'> }),
      groups: routing.numGroups,
      topGroups: routing.topGroups,
      groupScore: routing.groupScore === 'best' ? 'max' : 'top2',
      normalize: routing.normalize,
      scale: routing.scale,
    });
    const count = (logits.shape[1] ?? 0) + numShared;
    const { 1: hidden = 1 } = x.shape;
    const { 1: width = 1 } = down.shape;
    const call = {
      x,
      experts: this.#step.keep(experts),
      weights: this.#step.keep(weights),
      gateUp: gateUp.reshape([count, 2 * width, hidden]),
      down: down.reshape([count, hidden, width]),
      ...this.#expertScales(gateUp, down, count),
    };
    if (scale === 1) expertMlp({ ...call, residual: target, out: target });
    else addScaled({ target, x: this.#step.keep(expertMlp({ ...call, dtype: 'f32' })), scale });
  }

  #expertScales(gateUp: DeviceMatrix, down: DeviceMatrix, count: number) {
    const perExpert = (matrix: DeviceMatrix) => {
      const scales = this.#scales.get(matrix);
      if (scales === undefined) return undefined;
      const { 0: rows = 0, 1: across = 0 } = scales.shape;
      return scales.reshape([count, rows / count, across]);
    };
    const gateUpScales = perExpert(gateUp);
    const downScales = perExpert(down);
    return gateUpScales && downScales ? { gateUpScales, downScales } : {};
  }

  writeLatents(write: LatentWrite<DeviceMatrix>): DeviceMatrix {
    return writeLatents(this.#step, write, this.pageSize, this.#absorbed.hot);
  }

  attend(form: AttentionForm, call: AttentionCall<DeviceMatrix>): void {
    if (form === 'expanded' && this.#expanded.takes(call)) this.#expanded.run(call);
    else this.#absorbed.run(call);
  }

  takeRows(x: DeviceMatrix, rows: Int32Array): DeviceMatrix {
    // Every row of a recorded step is a sequence's last.
    if (this.#step.inputs !== undefined) return x;
    return this.#step.keep(embedding({ table: x, ids: this.#step.integers(rows), dtype: 'f32' }));
  }

  read(x: DeviceMatrix): Promise<Float32Array> {
    return x.readFloat32();
  }

  /** The device has threads of its own. */
  pause(): undefined {
    return undefined;
  }

  scope<Result>(run: () => Promise<Result>): Promise<Result> {
    return this.#step.scope(run);
  }

  layer(run: () => void): void {
    this.#step.layer(run);
  }

  /** Takes over what is to live until the step ends. */
  keep<Kept extends Disposable>(tensor: Kept): Kept {
    return this.#step.keep(tensor);
  }

  /** Keeps a result of a step beyond it: the caller disposes of it. */
  detach(x: DeviceMatrix): DeviceMatrix {
    return this.#step.detach(x);
  }

  /** A step whose calls are all made before this returns. Its tensors are gone then. */
  enqueueStep<Result>(run: () => Result, inputs?: StepInputs): Result {
    return this.#step.enqueue(run, inputs);
  }
}

/** Where a call costs more than its part of a replay. Through WebGPU nobody has measured it. */
function recordsSteps({ info: { backend } }: Device): boolean {
  return backend !== 'webgpu';
}

/**
 * Whether a device's own runner gains anything. On the processor it does where steps are recorded, and those of
 * large models are not: weights may lie beside the device's memory there, of which a call copies what its kernel
 * does not take. A recorded step would keep the copies of all its calls, and saves little of its time.
 */
function isWorthRecording({ info: { backend } }: Device, config: ModelConfig): boolean {
  if (backend !== 'cpu') return true;
  return config.indexer === undefined && 2 * parametersOf(config).total <= largestNearWeights;
}

function asVector(x: DeviceMatrix): DeviceMatrix {
  return x.reshape([x.size]);
}
