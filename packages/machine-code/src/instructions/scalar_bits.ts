import type { Feature } from '../features/feature.ts';
import { either, form } from './form.ts';

const counting = (opcode: string, feature: Feature) =>
  either(
    form('r64, r64/m64', `F3 REX.W 0F ${opcode} /r`, feature),
    form('r32, r32/m32', `F3 0F ${opcode} /r`, feature),
  );

const shifting = (prefix: string) =>
  either(
    form('r64, r64/m64, r64', `VEX.128.${prefix}.0F38.W1 F7 /r RMV`, 'bmi2'),
    form('r32, r32/m32, r32', `VEX.128.${prefix}.0F38.W0 F7 /r RMV`, 'bmi2'),
  );

const picking = (prefix: string) =>
  either(
    form('r64, r64, r64/m64', `VEX.128.${prefix}.0F38.W1 F5 /r`, 'bmi2'),
    form('r32, r32, r32/m32', `VEX.128.${prefix}.0F38.W0 F5 /r`, 'bmi2'),
  );

/** Counting, picking and shifting bits. */
export const scalarBits = {
  popcnt: counting('B8', 'popcnt'),
  lzcnt: counting('BD', 'lzcnt'),
  tzcnt: counting('BC', 'bmi1'),
  andn: either(
    form('r64, r64, r64/m64', 'VEX.128.NP.0F38.W1 F2 /r', 'bmi1'),
    form('r32, r32, r32/m32', 'VEX.128.NP.0F38.W0 F2 /r', 'bmi1'),
  ),
  /** The lowest so many bits: the mask of a tail is `bzhi` of ones. */
  bzhi: either(
    form('r64, r64/m64, r64', 'VEX.128.NP.0F38.W1 F5 /r RMV', 'bmi2'),
    form('r32, r32/m32, r32', 'VEX.128.NP.0F38.W0 F5 /r RMV', 'bmi2'),
  ),
  pdep: picking('F2'),
  pext: picking('F3'),
  /** Shifts by a register without touching the flags. */
  shlx: shifting('66'),
  shrx: shifting('F2'),
  sarx: shifting('F3'),
  rorx: either(
    form('r64, r64/m64, uimm8', 'VEX.128.F2.0F3A.W1 F0 /r ib RM', 'bmi2'),
    form('r32, r32/m32, uimm8', 'VEX.128.F2.0F3A.W0 F0 /r ib RM', 'bmi2'),
  ),
  bt: either(form('r64/m64, uimm8', 'REX.W 0F BA /4 ib'), form('r32/m32, uimm8', '0F BA /4 ib')),
} as const;
