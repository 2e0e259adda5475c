import { type KernelSource, kernel } from '../../../../runtime/webgpu/wgsl/kernel.ts';
import { Params } from '../../../../runtime/webgpu/wgsl/params.ts';
import { metadataWidth, type PartField, partField, partFields } from '../../schedule/metadata.ts';

/** Which lengths a schedule is computed from. */
export interface ScheduleConfig {
  /** Tensors that are there, in binding order. */
  readonly lengths: readonly ('seqlens' | 'topkLength' | 'extraTopkLength')[];
}

const invocations = 256;

/** A field of the part that is being filled. */
const entry = (field: PartField) => `metadata[entry(${partField[field]}u)]`;

/** What a part begins with, as far as it is not 0. */
const opened: Partial<Record<PartField, string>> = {
  beginRequest: 'i32(request)',
  endRequest: 'i32(request) - 1',
  beginBlock: 'i32(block)',
  beginSplit: 'i32(split)',
};

/**
 * The tile scheduler on the device: the same cut as `computeTileSchedule`, entry by entry. Blocks are
 * counted by all invocations, 256 requests at a time; the walk over them is sequential by nature and
 * takes one.
 */
export function scheduleKernel(config: ScheduleConfig): KernelSource {
  const { lengths } = config;
  const count = (name: 'topkLength' | 'extraTopkLength', width: string) =>
    `blocksOf(${lengths.includes(name) ? `${name}[params.${name} + request]` : `params.${width}`}, params.${width})`;
  return kernel(
    scheduleName(config),
    new Params({
      batch: 'u32',
      numParts: 'u32',
      blockTokens: 'i32',
      overheadBlocks: 'u32',
      splitBlocks: 'u32',
      topk: 'i32',
      extraTopk: 'i32',
      ...Object.fromEntries(lengths.map((name) => [name, 'u32' as const])),
      metadata: 'u32',
      numSplits: 'u32',
    }),
    [
      ...lengths.map((name) => ({ name, access: 'read' as const, element: 'i32' as const })),
      { name: 'metadata', access: 'read_write', element: 'i32' },
      { name: 'numSplits', access: 'read_write', element: 'i32' },
    ],
    `
    var<workgroup> blocks: array<u32, ${invocations}>;
    var<workgroup> totalCost: atomic<u32>;
    var<workgroup> leastCost: atomic<u32>;

    fn blocksOf(length: i32, most: i32) -> u32 {
      return u32((clamp(length, 0, most) + params.blockTokens - 1) / params.blockTokens);
    }
    fn blocksOfRequest(request: u32) -> u32 {
      ${
        lengths.includes('seqlens')
          ? 'return max(1u, blocksOf(seqlens[params.seqlens + request], params.topk));'
          : `return max(1u, ${count('topkLength', 'topk')}) + ${count('extraTopkLength', 'extraTopk')};`
      }
    }

    // Where the walk is: the part being filled, and what it holds so far.
    var<private> part: u32;
    var<private> room: u32;
    var<private> splitsBefore: u32;

    fn entry(index: u32) -> u32 { return params.metadata + part * ${metadataWidth}u + index; }

    fn openPart(request: u32, block: u32, split: u32) {
      ${partFields.map((field) => `${entry(field)} = ${opened[field] ?? '0'};`).join('\n      ')}
    }
    fn extendPart(request: u32, endBlock: u32) {
      ${entry('endRequest')} = i32(request);
      ${entry('endBlock')} = i32(endBlock);
    }

    // Parts that are filled, and room in the last, once a request is added to parts of a cost.
    fn fill(filled: vec2u, size: u32, cost: u32) -> vec2u {
      let needed = size + params.overheadBlocks;
      if (filled.y >= needed) { return vec2u(filled.x, filled.y - needed); }
      let most = cost - params.overheadBlocks;
      let rest = size - (max(filled.y, params.overheadBlocks) - params.overheadBlocks);
      let others = (rest + most - 1u) / most;
      return vec2u(filled.x + others, others * most - rest);
    }

    // Balanced: a part takes as much of a request as it has room for.
    fn cutAnywhere(request: u32, size: u32, payload: u32) {
      var block = 0u;
      var split = 0u;
      while (room < size - block + params.overheadBlocks) {
        if (room > params.overheadBlocks) {
          block += room - params.overheadBlocks;
          split++;
          extendPart(request, block);
        }
        part++;
        room = payload;
        openPart(request, block, split);
      }
      room -= size - block + params.overheadBlocks;
      extendPart(request, size);
      splitsBefore += split + 1u;
      numSplits[params.numSplits + request + 1u] = i32(splitsBefore);
    }

    // The cost at which part p begins, ceil(p · total / numParts) without leaving 32 bits.
    fn boundary(p: u32, total: u32) -> u32 {
      let rest = p * (total % params.numParts);
      return p * (total / params.numParts) + (rest + params.numParts - 1u) / params.numParts;
    }

    // Deterministic: a split goes to the part in whose share of the cost it begins. Goes from part to part
    // and not from split to split, of which a long request has very many.
    fn cutAtSplits(request: u32, size: u32, before: u32, total: u32) -> u32 {
      let splits = (size + params.splitBlocks - 1u) / params.splitBlocks;
      let whole = params.splitBlocks + params.overheadBlocks;
      var block = 0u;
      while (part + 1u < params.numParts) {
        let share = boundary(part + 1u, total);
        let split = (max(share, before) - before + whole - 1u) / whole;
        if (split >= splits) { break; }
        if (split * params.splitBlocks > block) {
          block = split * params.splitBlocks;
          extendPart(request, block);
        }
        part++;
        let isLast = part + 1u == params.numParts || boundary(part + 1u, total) > before + split * whole;
        openPart(request, select(0u, block, isLast), select(0u, split, isLast));
      }
      extendPart(request, size);
      splitsBefore += splits;
      numSplits[params.numSplits + request + 1u] = i32(splitsBefore);
      return before + size + splits * params.overheadBlocks;
    }

    fn isSplit(request: i32) -> i32 {
      let at = params.numSplits + u32(request);
      return select(0, 1, numSplits[at + 1u] - numSplits[at] > 1);
    }

    @compute @workgroup_size(${invocations})
    fn main(@builtin(local_invocation_index) thread: u32) {
      for (var request = thread; request < params.batch; request += ${invocations}u) {
        let size = blocksOfRequest(request);
        let pieces = select(1u, (size + params.splitBlocks - 1u) / max(1u, params.splitBlocks), params.splitBlocks > 0u);
        atomicAdd(&totalCost, size + pieces * params.overheadBlocks);
      }
      workgroupBarrier();
      let total = atomicLoad(&totalCost);
      // Each invocation tries a cost of its own; the least with which the parts suffice counts.
      let share = (total + params.numParts - 1u) / params.numParts;
      let highest = share + params.overheadBlocks;
      let tried = max(share, min(highest, params.overheadBlocks + 2u)) + thread;
      var filled = vec2u(1u, tried);
      if (thread == 0u) { atomicStore(&leastCost, highest); }
      for (var first = 0u; first < params.batch; first += ${invocations}u) {
        if (first + thread < params.batch) { blocks[thread] = blocksOfRequest(first + thread); }
        workgroupBarrier();
        if (tried < highest) {
          let end = min(params.batch - first, ${invocations}u);
          for (var i = 0u; i < end; i++) { filled = fill(filled, blocks[i], tried); }
        }
        workgroupBarrier();
      }
      if (tried < highest && filled.x <= params.numParts) { atomicMin(&leastCost, tried); }
      workgroupBarrier();
      let payload = atomicLoad(&leastCost);
      if (thread == 0u) {
        room = payload;
        numSplits[params.numSplits] = 0;
        openPart(0u, 0u, 0u);
      }
      var cost = 0u;
      for (var first = 0u; first < params.batch; first += ${invocations}u) {
        if (first + thread < params.batch) { blocks[thread] = blocksOfRequest(first + thread); }
        workgroupBarrier();
        if (thread == 0u) {
          let end = min(params.batch - first, ${invocations}u);
          for (var i = 0u; i < end; i++) {
            if (params.splitBlocks > 0u) { cost = cutAtSplits(first + i, blocks[i], cost, total); }
            else { cutAnywhere(first + i, blocks[i], payload); }
          }
        }
        workgroupBarrier();
      }
      if (thread == 0u) {
        for (part++; part < params.numParts; part++) { openPart(params.batch, 0u, 0u); }
      }
      storageBarrier();
      for (var p = thread; p < params.numParts; p += ${invocations}u) {
        let at = params.metadata + p * ${metadataWidth}u;
        let begin = metadata[at + ${partField.beginRequest}u];
        let end = metadata[at + ${partField.endRequest}u];
        if (end >= begin) {
          metadata[at + ${partField.beginIsSplit}u] = isSplit(begin);
          metadata[at + ${partField.endIsSplit}u] = isSplit(end);
        }
      }
    }`,
  );
}

export function scheduleName({ lengths }: ScheduleConfig): string {
  return `schedule${lengths.length > 0 ? ` by ${lengths.join(' and ')}` : ''}`;
}
