function fromEnvironment(name: string, fallback: number): number {
  const value = Number(process.env[name] ?? fallback);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new RangeError(`${name}: expected an integer, got ${process.env[name]}.`);
}

/** How much the random tests do; `scripts/fuzz.mjs` asks for more than `npm test`. */
export const fuzzSize = {
  kvOperations: fromEnvironment('FLASH_MLA_FUZZ_KV', 15_000),
  requests: fromEnvironment('FLASH_MLA_FUZZ_REQUESTS', 100),
  seed: fromEnvironment('FLASH_MLA_FUZZ_SEED', 17),
};
