import { defineKernel, type Kernel, type Ops, type Pointer, type Value } from '@flash-mla/ptx';
import type { Alignment } from '../../kernel-lib/cuda/sm80/copy.ts';
import {
  type AppendConfig,
  type AppendParams,
  appendParams,
  appendThreads,
  loadSlot,
  warpRow,
} from './append/config.ts';
import { loadRow, packRow } from './packed/pack-row.ts';
import { packedToken } from './packed/token.ts';

const options = {
  name: 'sm80_append_kv_cache',
  params: appendParams,
  block: [appendThreads],
} as const;

/**
 * Writes rows to the tokens of a paged cache that slots name; those whose slot is outside are skipped.
 * Grid: (⌈rows / 4⌉). A warp takes a row. The row is on its way before the slot is looked at: neither
 * waits for the other.
 */
export function buildAppendKvCache(config: AppendConfig): Kernel<AppendParams> {
  const { layout } = config;
  return layout === 'plain' ? buildPlain(config) : buildPacked({ ...config, layout });
}

function buildPacked(
  config: AppendConfig & { readonly layout: 'v32' | 'model1' },
): Kernel<AppendParams> {
  const { layout, cacheAlignment: packedAlignment, rowAlignment } = config;
  const packing = { layout, packedAlignment, rowAlignment };
  return defineKernel(options, (k, p) => {
    const { token } = warpRow(k, config, p.count);
    const slot = loadSlot(k, config, p, token);
    const row = p.rows.at(k.widen(token).mul(p.rowStride)).as('bf16');
    const loaded = loadRow(k, packing, row);
    k.if(slot.outside, () => k.exit(), { uniform: true });
    const { cache: packed, pageSize, blockStride, tokenStride: rowStride } = p;
    const place = { packed, pageSize, blockStride, rowStride };
    packRow(k, packing, loaded, packedToken(k, layout, place, slot.index));
  });
}

/** Loads that a lane has under way at a time. */
const batch = 4;

function buildPlain(config: AppendConfig): Kernel<AppendParams> {
  const { rowBytes } = config;
  const width = Math.min(config.cacheAlignment, config.rowAlignment, rowBytes & -rowBytes);
  const access = asAccess(width as Alignment);
  const chunks = rowBytes / width;
  const batches = Math.ceil(chunks / (32 * batch));
  return defineKernel(options, (k, p) => {
    const { token, head } = warpRow(k, config, p.count);
    const slot = loadSlot(k, config, p, token);
    const from = p.rows.at(k.widen(token).mul(p.rowStride)).at(k.widen(head).mul(p.rowHeadStride));
    const target = () => {
      const block = slot.index.div(p.pageSize);
      const offset = slot.index.sub(block.mul(p.pageSize));
      return p.cache
        .at(k.widen(block).mul(p.blockStride))
        .at(k.widen(offset).mul(p.tokenStride))
        .at(k.widen(head).mul(p.headStride));
    };
    const lane = k.laneId;
    const present = (chunk: Value<'u32'>, i: number) => chunk.add(32 * i).lt(chunks);
    const load = (chunk: Value<'u32'>, count: number) =>
      Array.from({ length: count }, (_, i) =>
        access.load(k, from.at(chunk.add(32 * i).mul(width)), present(chunk, i)),
      );
    const store = (to: Pointer<'global', 'u8'>, chunk: Value<'u32'>, loaded: Loaded[]) =>
      loaded.forEach((values, i) => {
        k.if(present(chunk, i), () => access.store(to.at(chunk.add(32 * i).mul(width)), values));
      });

    if (batches === 1) {
      const loaded = load(lane, Math.ceil(chunks / 32));
      k.if(slot.outside, () => k.exit(), { uniform: true });
      store(target(), lane, loaded);
      return;
    }
    k.if(slot.outside, () => k.exit(), { uniform: true });
    const to = target();
    k.for({ from: lane, to: chunks, step: 32 * batch, unroll: false }, (chunk) => {
      store(to, chunk, load(chunk, batch));
    });
  });
}

type Loaded = readonly Value<'b32'>[];

/** Loads and stores of `width` bytes. */
function asAccess(width: Alignment) {
  const words = Math.max(1, width / 4) as 1 | 2 | 4;
  const narrow = width === 1 ? 'u8' : 'u16';
  return {
    load(k: Ops, from: Pointer<'global', 'u8'>, present: Value<'pred'>): Loaded {
      const loaded = k.vars('b32', words, 0);
      k.if(present, () => {
        if (width < 4) {
          const value = from.as(narrow).load({ nc: true });
          loaded[0].set(value.as('b32'));
          return;
        }
        const at = from.as('b32');
        const values = words === 1 ? [at.load({ nc: true })] : at.loadVec(words, { nc: true });
        values.forEach((value, i) => {
          loaded[i].set(value);
        });
      });
      return loaded;
    },
    store(to: Pointer<'global', 'u8'>, values: Loaded): void {
      const [first] = values;
      if (width < 4 && first) to.as(narrow).store(first.as('u32'));
      else if (words === 1 && first) to.as('b32').store(first);
      else to.as('b32').storeVec(values);
    },
  };
}
