import { type Assembler, assemble } from '../assembler/assemble.ts';
import type { Program } from '../assembler/program.ts';
import { rax } from '../registers/names.ts';
import { chooserOf } from './cases.ts';

const jumps = ['jmp', 'je', 'jne', 'jl', 'jge', 'jb', 'ja', 'jp'] as const;

/** A step of {@link jumpProgram}. */
export type Step =
  | { readonly kind: 'label' }
  | {
      readonly kind: 'jump';
      readonly mnemonic: (typeof jumps)[number] | 'call';
      readonly to: number;
    }
  | { readonly kind: 'filler'; readonly bytes: number }
  | { readonly kind: 'align'; readonly bytes: number };

/** Code of jumps between labels with other instructions between; `to` counts the labels, modulo. */
export function jumpProgram(steps: readonly Step[]): Program {
  return assemble((a) => {
    const labels = steps.filter(({ kind }) => kind === 'label').map(() => a.label('at'));
    labels.push(a.label('end'));
    let placed = 0;
    for (const step of steps) {
      if (step.kind === 'label') a.place(labels[placed++]);
      else if (step.kind === 'jump') a[step.mnemonic](labels[step.to % labels.length]);
      else if (step.kind === 'align') a.align(step.bytes);
      else filler(a, step.bytes);
    }
    a.place(labels[placed]);
    a.ret();
  });
}

function filler(a: Assembler, bytes: number): void {
  // inc rax has 3 bytes, the no-operation 1.
  for (let left = bytes; left > 0; left -= left >= 3 ? 3 : 1) {
    if (left >= 3) a.inc(rax);
    else a.nop();
  }
}

/** A random program without alignment, whose distances lie around the reach of a short jump. */
export function randomProgram(seed: number): Program {
  const choose = chooserOf(seed);
  const steps = Array.from({ length: 10 + choose(60) }, (): Step => {
    const kind = choose(4);
    if (kind === 0) return { kind: 'label' };
    if (kind === 1) return { kind: 'filler', bytes: choose(40) };
    return { kind: 'jump', mnemonic: jumps[choose(jumps.length)], to: choose(64) };
  });
  return jumpProgram(steps);
}
