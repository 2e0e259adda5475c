import type { Body } from '../builder/body.ts';
import type { Value } from '../builder/value.ts';
import { instruction } from '../ir/instruction.ts';

/** The 32-bit special registers: where a thread is. */
export type SpecialRegister =
  | 'tid.x'
  | 'tid.y'
  | 'tid.z'
  | 'ntid.x'
  | 'ntid.y'
  | 'ntid.z'
  | 'ctaid.x'
  | 'ctaid.y'
  | 'ctaid.z'
  | 'nctaid.x'
  | 'nctaid.y'
  | 'nctaid.z'
  | 'cluster_ctaid.x'
  | 'cluster_ctaid.y'
  | 'cluster_ctaid.z'
  | 'cluster_nctaid.x'
  | 'cluster_nctaid.y'
  | 'cluster_nctaid.z'
  | 'clusterid.x'
  | 'clusterid.y'
  | 'clusterid.z'
  | 'nclusterid.x'
  | 'nclusterid.y'
  | 'nclusterid.z'
  | 'cluster_ctarank'
  | 'cluster_nctarank'
  | 'laneid'
  | 'smid'
  | 'nsmid'
  | 'lanemask_lt'
  | 'lanemask_le'
  | 'lanemask_gt'
  | 'lanemask_ge'
  | 'lanemask_eq'
  | 'clock'
  | 'dynamic_smem_size';

/** Reads a 32-bit special register. */
export const readSpecial = instruction<{ readonly register: SpecialRegister }>({
  name: 'mov',
  kind: 'move',
  requires: ({ register }) => (register.includes('cluster') ? { sm: 90, ptx: 78 } : undefined),
  ptx: ({ register }, [d]) => `mov.u32 ${d}, %${register}`,
  warp: ({ register }, { d: [d] }) => {
    const perLane = /^(tid|lane)/.test(register);
    return (w) => {
      if (!perLane) w.I.fill(w.special(register, 0), d, d + 32);
      else for (let lane = 0; lane < 32; lane++) w.I[d + lane] = w.special(register, lane);
    };
  },
});

/** Reads a 64-bit clock. */
export const readClock64 = instruction<{ readonly register: 'clock64' | 'globaltimer' }>({
  name: 'mov',
  kind: 'move',
  ptx: ({ register }, [d]) => `mov.u64 ${d}, %${register}`,
  warp:
    ({ register }, { d: [d] }) =>
    (w) => {
      w.I.fill(w.special(register, 0), d, d + 32).fill(0, d + 32, d + 64);
    },
});

/** A coordinate in a grid or block. */
export interface Index3 {
  readonly x: Value<'u32'>;
  readonly y: Value<'u32'>;
  readonly z: Value<'u32'>;
}

/** Where the thread is: indices and sizes, read once per kernel and use. */
export const registerOps = (body: Body) => {
  const read = (register: SpecialRegister): Value<'u32'> =>
    body.once(register, () => body.one(readSpecial({ register }), 'u32', []));
  type Triple = 'tid' | 'ntid' | 'ctaid' | 'nctaid';
  type ClusterTriple = 'cluster_ctaid' | 'cluster_nctaid' | 'clusterid' | 'nclusterid';
  const triple = (name: Triple | ClusterTriple): Index3 => ({
    get x() {
      return read(`${name}.x`);
    },
    get y() {
      return read(`${name}.y`);
    },
    get z() {
      return read(`${name}.z`);
    },
  });
  return {
    /** The thread's index in its CTA. */
    threadIdx: triple('tid'),
    /** The CTA's size in threads. */
    blockDim: triple('ntid'),
    /** The CTA's index in the grid. */
    blockIdx: triple('ctaid'),
    /** The grid's size in CTAs. */
    gridDim: triple('nctaid'),
    /** The CTA's index in its cluster (sm_90 up). */
    clusterCtaId: triple('cluster_ctaid'),
    /** The cluster's size in CTAs. */
    clusterDim: triple('cluster_nctaid'),
    /** The cluster's index in the grid. */
    clusterIdx: triple('clusterid'),
    /** The grid's size in clusters. */
    clusterGridDim: triple('nclusterid'),
    /** The CTA's number in its cluster: x runs fastest. */
    get clusterCtaRank(): Value<'u32'> {
      return read('cluster_ctarank');
    },
    /** CTAs of a cluster. */
    get clusterCtaCount(): Value<'u32'> {
      return read('cluster_nctarank');
    },
    /** The lane's index in its warp. */
    get laneId(): Value<'u32'> {
      return read('laneid');
    },
    /** The warp's index in a one-dimensional CTA, the same value in all its lanes. */
    get warpId(): Value<'u32'> {
      return body.once('warpId', () => read('tid.x').shr(5));
    },
    /** Any 32-bit special register. */
    special: (register: SpecialRegister): Value<'u32'> =>
      body.one(readSpecial({ register }), 'u32', []),
    /** The SM's cycle counter, or the device's nanosecond clock. */
    clock64: (register: 'clock64' | 'globaltimer' = 'clock64'): Value<'u64'> =>
      body.one(readClock64({ register }), 'u64', []),
  };
};
