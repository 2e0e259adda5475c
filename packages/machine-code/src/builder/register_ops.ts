import type { Code } from '../assembler/code.ts';
import type { Instructions } from '../instructions/table.ts';
import { Gpr64 } from '../registers/gpr.ts';
import { Mask } from '../registers/mask.ts';
import type { Register, VectorKind } from '../registers/register.ts';
import { Tile } from '../registers/tile.ts';
import { VectorRegister, type Xmm, type Ymm, type Zmm } from '../registers/vector.ts';
import type { RegisterPool } from './pool.ts';
import { type Source, setRegister } from './set.ts';

type Held = ReturnType<RegisterPool['reserve']>;

const spans = (registers: readonly Register[]): string =>
  registers.length > 1 ? `${registers[0]} … ${registers[registers.length - 1]}` : `${registers[0]}`;

/** Registers by name. They are free again when the scope ends in which they were taken. */
export function registerOps(code: Code, pool: RegisterPool, instructions: Instructions) {
  /** Notes in the listing which register got the name. */
  const noted = <R extends Register>(name: string, registers: R[]): R[] => {
    if (registers.length > 0) code.comment(`${name} = ${spans(registers)}`);
    return registers;
  };
  const below = (kind: VectorKind) => (kind === 'zmm' || code.allows('avx512vl') ? 32 : 16);
  const vectors = <K extends VectorKind>(kind: K, name: string, count: number) =>
    noted(
      name,
      pool
        .take(kind, name, count, below(kind))
        .map(({ number, lease }) => new VectorRegister<K>(kind, number, lease)),
    );
  const reserved = ({ number, lease }: Held, register: Register): Register => {
    if (register instanceof Gpr64) return new Gpr64(number, lease);
    if (register instanceof VectorRegister) return new VectorRegister(register.kind, number, lease);
    return register instanceof Mask ? new Mask(number, lease) : new Tile(number, lease);
  };
  const tiles = (name: string, count: number): Tile[] =>
    noted(
      name,
      pool.take('tile', name, count).map(({ number, lease }) => new Tile(number, lease)),
    );

  return {
    /** A general-purpose register, set to a number, to what memory holds, or to another's content. */
    gpr(name: string, value?: Source): Gpr64 {
      const [{ number, lease }] = pool.take('gpr64', name, 1);
      const [register] = noted(name, [new Gpr64(number, lease)]);
      if (value !== undefined) setRegister(instructions, register, value);
      return register;
    },
    /** Sets a register in the shortest way. 0 changes the flags. */
    set(register: Gpr64, value: Source): void {
      setRegister(instructions, register, value);
    },
    xmm: (name: string): Xmm => vectors('xmm', name, 1)[0],
    ymm: (name: string): Ymm => vectors('ymm', name, 1)[0],
    zmm: (name: string): Zmm => vectors('zmm', name, 1)[0],
    xmms: (name: string, count: number): Xmm[] => vectors('xmm', name, count),
    ymms: (name: string, count: number): Ymm[] => vectors('ymm', name, count),
    zmms: (name: string, count: number): Zmm[] => vectors('zmm', name, count),
    /** Rows of registers: the accumulators of an outer product. */
    ymmBlock: (name: string, rows: number, columns: number): Ymm[][] =>
      blockOf(vectors('ymm', name, rows * columns), columns),
    /** Rows of registers: the accumulators of an outer product. */
    zmmBlock: (name: string, rows: number, columns: number): Zmm[][] =>
      blockOf(vectors('zmm', name, rows * columns), columns),
    /** A mask register that can choose lanes: k1 to k7. */
    mask(name: string): Mask {
      const [{ number, lease }] = pool.take('mask', name, 1);
      return noted(name, [new Mask(number, lease)])[0];
    },
    tile: (name: string): Tile => tiles(name, 1)[0],
    tiles,
    /** Rows of tiles: the accumulators of a product of several tiles. */
    tileBlock: (name: string, rows: number, columns: number): Tile[][] =>
      blockOf(tiles(name, rows * columns), columns),
    /** This very register, for instructions that want it: rcx as a count, rax for `cpuid`. */
    reserve<R extends Gpr64 | VectorRegister | Mask | Tile>(register: R, name: string): R {
      return reserved(pool.reserve(register, name), register) as R;
    },
    /** Gives registers back before their scope ends. */
    free(...registers: readonly Register[]): void {
      for (const register of registers) pool.free(register);
    },
    /** Frees what was taken inside, and gives what the function returns. */
    scope: <R>(fill: () => R): R => pool.scope(fill),
  };
}

function blockOf<R>(list: readonly R[], columns: number): R[][] {
  const rows: R[][] = [];
  for (let at = 0; at < list.length; at += columns) rows.push(list.slice(at, at + columns));
  return rows;
}
