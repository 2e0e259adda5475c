import type { Program } from '../../ir/program.ts';
import * as float from '../numerics/float.ts';
import * as fma from '../numerics/fma.ts';
import * as integer from '../numerics/integer.ts';
import type { Compiled } from './compiled.ts';
import { ControlFlow } from './control-flow.ts';
import { Instructions } from './instructions.ts';
import { RegisterFile } from './register-file.ts';
import { Survey } from './survey.ts';
import { traps } from './traps.ts';

const cache = new WeakMap<Program, Compiled>();

/**
 * Translates a program; at most once. `located` gives the same program with the lines of its
 * instructions, which are looked up only when something goes wrong.
 */
export function compile(program: Program, located: () => Program): Compiled {
  let compiled = cache.get(program);
  if (compiled === undefined) {
    compiled = evaluate(program, located);
    cache.set(program, compiled);
  }
  return compiled;
}

/** What is called in the text of a translation, by name. */
const helpers = { ...integer, ...float, ...fma, ...traps };

function evaluate(program: Program, located: () => Program): Compiled {
  const { survey, file, instructions, statements } = translate(program);
  const { functions, ops, uses, kinds } = instructions;
  const issued = new Float64Array(kinds.length);
  const lanes = new Float64Array(kinds.length);
  const source = [
    `const { ${Object.keys(helpers).join(', ')} } = helpers;`,
    ...functions,
    'return function* run(w) {',
    'const I = w.I; let m = w.live;',
    ...statements,
    '};',
  ].join('\n');
  const make = new Function('helpers', 'ops', 'uses', 'issued', 'lanes', source) as (
    ...args: unknown[]
  ) => Compiled['run'];
  return {
    program,
    asynchronous: survey.asynchronous,
    // A translation numbers the places of the same program always the same.
    site: (index) => translate(located()).survey.sites[index],
    ...file.layout,
    matrixRegisters: survey.heldRegisters,
    run: make(helpers, ops, uses, issued, lanes),
    takeCounts: () => {
      const counts = kinds.map((k, i) => ({ kinds: k, issued: issued[i], lanes: lanes[i] }));
      issued.fill(0);
      lanes.fill(0);
      return counts;
    },
  };
}

/** The text of a program and what it refers to. */
function translate(program: Program) {
  const survey = new Survey(program);
  const file = new RegisterFile(program);
  const instructions = new Instructions(survey, file);
  const flow = new ControlFlow(survey, file, instructions);
  flow.block(program.body, 'm', []);
  return { survey, file, instructions, statements: flow.statements };
}
