import { InvalidArgumentError } from '@flash-mla/core';
import { operationTools } from '../../operation-tools.ts';
import { Random } from '../suite/random.ts';
import type { Drawn, PropertyOperation } from './operation.ts';
import { drawValues, type Values, valuesText } from './parameters.ts';
import type { ProblemSeed } from './seed.ts';

/** What is drawn from: each operation as often as its share says. */
export const propertyOperations: readonly PropertyOperation[] = operationTools.flatMap(
  ({ drawn = [] }) =>
    drawn.flatMap((operation) => Array<PropertyOperation>(operation.share).fill(operation)),
);

/** One problem of a sequence, known by its parameters; its data are drawn by {@link build}. */
export interface DrawnProblem {
  readonly seed: Required<Omit<ProblemSeed, 'settings'>> & Pick<ProblemSeed, 'settings'>;
  readonly operation: PropertyOperation;
  readonly values: Values;
  /** The operation and all values, which a filter looks at. */
  readonly name: string;
  /** Millions of floating-point operations, all calls together, tiles counted in full. */
  readonly cost: number;
}

/**
 * The problem that a seed names: its parameters, some of them set. Throws {@link InvalidArgumentError}
 * for settings that the operation does not know.
 */
export function drawProblem(
  seed: number,
  index: number,
  settings?: ProblemSeed['settings'],
): DrawnProblem {
  const random = randomOf(seed, index);
  const operation = random.stream('operation').pick(propertyOperations);
  const drawn = normalized(operation, drawValues(operation.space, random.stream('values')));
  if (settings === undefined) return problemOf(operation, { seed, index }, drawn);
  const set = Object.entries(settings).map(([name, text]) => {
    const value = operation.space[name]?.parse(text);
    if (value !== undefined) return [name, value] as const;
    const known = Object.keys(operation.space).join(', ');
    const remedy = `Parameters of ${operation.kind.op} are ${known}.`;
    throw new InvalidArgumentError('seed', 'settings of this problem', `${name}=${text}`, remedy);
  });
  const values = normalized(operation, { ...drawn, ...Object.fromEntries(set) });
  return problemOf(operation, { seed, index, settings }, values);
}

/** The same problem with other values. */
export function withValues(problem: DrawnProblem, values: Values): DrawnProblem {
  const { seed, index } = problem.seed;
  const { operation, values: original } = drawProblem(seed, index);
  const normal = normalized(operation, values);
  const changed = Object.entries(normal).filter(([name, value]) => original[name] !== value);
  const settings = Object.fromEntries(changed.map(([name, value]) => [name, String(value)]));
  return problemOf(operation, { seed, index, settings }, normal);
}

/** Draws the data. */
export function build({ operation, values, seed }: DrawnProblem): Drawn {
  return operation.build(values as never, randomOf(seed.seed, seed.index).stream('data'));
}

function problemOf(
  operation: PropertyOperation,
  seed: DrawnProblem['seed'],
  values: Values,
): DrawnProblem {
  const calls = values.mode === 'once' ? 1 : Number(values.steps) + 2;
  return {
    seed,
    operation,
    values,
    name: `${operation.kind.op} ${valuesText(values)}`,
    cost: operation.cost(values as never) * calls,
  };
}

function normalized(operation: PropertyOperation, values: Values): Values {
  return operation.normalize(values as never) as Values;
}

function randomOf(seed: number, index: number): Random {
  return new Random(`problem ${seed}:${index}`);
}
