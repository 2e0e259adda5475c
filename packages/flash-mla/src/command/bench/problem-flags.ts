import { type Command, Option } from 'commander';
import type { ProblemOptions } from '../../ops/bench/operation.ts';
import { maxRequests } from '../../ops/bench/sizes.ts';
import { UsageError } from '../../ops/bench/usage-error.ts';
import { integer } from '../option-values.ts';

/** Options that describe a problem; each operation takes some of them. */
export const problemFlags: Readonly<Record<keyof ProblemOptions, Option>> = {
  b: new Option('--b <n>', 'requests').argParser(integer(1, maxRequests)),
  sQ: new Option('--s-q <n>', 'queries per request').argParser(integer(1)),
  hQ: new Option('--h-q <n>', 'query heads').argParser(integer(1)),
  hKv: new Option('--h-kv <n>', 'KV heads').argParser(integer(1)),
  sK: new Option('--s-k <n>', 'tokens of a request in the cache').argParser(integer(1)),
  dQk: new Option('--d-qk <n>', 'columns of q and of a cache row').argParser(integer(1)),
  dV: new Option('--d-v <n>', 'columns of V').argParser(integer(1)),
  topk: new Option('--topk <n>', 'tokens that a query attends to').argParser(integer(1)),
  extraTopk: new Option('--extra-topk <n>', 'of a second cache').argParser(integer(0)),
  extraLen: new Option('--extra-len', 'random lengths of the extra indices'),
  kvLayout: new Option('--kv-layout <layout>', 'rows of the cache').choices([
    'v32',
    'model1',
    'bf16',
  ]),
  pageSize: new Option('--page-size <n>', 'tokens of a block').argParser(integer(1)),
  extraPageSize: new Option('--extra-page-size <n>', 'of the second cache').argParser(integer(1)),
  varlen: new Option('--varlen', 'lengths from s-k/8 to 15·s-k/8'),
  causal: new Option('--causal', 'causal mask, aligned to the end'),
  rows: new Option('--rows <n>', 'rows of a matrix').argParser(integer(1)),
  columns: new Option('--columns <n>', 'columns of a matrix').argParser(integer(1)),
  depth: new Option('--depth <n>', 'columns that a product sums over').argParser(integer(1)),
  dtype: new Option('--dtype <dtype>', 'of q and the cache').choices(['bf16', 'f16', 'e4m3']),
};

export function addProblemFlags(command: Command): void {
  for (const option of Object.values(problemFlags)) command.addOption(option);
}

/** The options of a problem; throws for one that the operation has no use for. */
export function problemOptions(
  operation: { readonly name: string; readonly accepts: readonly (keyof ProblemOptions)[] },
  flags: ProblemOptions,
): ProblemOptions {
  const options: Record<string, unknown> = {};
  for (const key of Object.keys(problemFlags) as (keyof ProblemOptions)[]) {
    if (flags[key] === undefined) continue;
    if (!operation.accepts.includes(key)) {
      const useful = operation.accepts.map((accepted) => problemFlags[accepted].long).join(', ');
      throw new UsageError(
        `${problemFlags[key].long} has no meaning for ${operation.name}, which takes ${useful}.`,
      );
    }
    options[key] = flags[key];
  }
  return options as ProblemOptions;
}
