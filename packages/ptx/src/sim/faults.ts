import { PtxError } from '../errors.ts';
import type { Location } from '../ir/location.ts';
import type { FaultKind } from './machine.ts';

/** Where in a launch something went wrong. */
export interface FaultPlace {
  readonly kernel: string;
  /** The TypeScript line that wrote the instruction. */
  readonly location: Location;
  /** The instruction's PTX mnemonic. */
  readonly instruction: string;
  /** Coordinates of the CTA in the grid. */
  readonly cta: readonly [number, number, number];
  readonly warp: number;
  readonly lane: number | undefined;
  /** In the space the instruction accesses; shared addresses count from the CTA's window. */
  readonly address: number | undefined;
}

/** A simulated kernel did what no kernel may do. `kind` says which rule it broke. */
export class SimulationError extends PtxError {
  override readonly name = 'SimulationError';
  readonly kind: FaultKind;
  readonly place: FaultPlace;
  /** What happened, without the place. */
  readonly problem: string;

  constructor(kind: FaultKind, place: FaultPlace, problem: string) {
    super(`${kind}: ${problem}\n${describe(place)}`);
    this.kind = kind;
    this.place = place;
    this.problem = problem;
  }
}

function describe(place: FaultPlace): string {
  const { kernel, location, instruction, cta, warp, lane, address } = place;
  const parts = [
    `kernel ${kernel}`,
    `${location.file}:${location.line}`,
    instruction,
    `CTA (${cta.join(', ')})`,
    `warp ${warp}`,
  ];
  if (lane !== undefined) parts.push(`lane ${lane}`);
  if (address !== undefined) parts.push(`address 0x${address.toString(16)}`);
  return `  at ${parts.join(', ')}`;
}
