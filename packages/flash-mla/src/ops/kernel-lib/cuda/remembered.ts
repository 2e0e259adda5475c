/** Choices that are kept: more than a process meets. */
const kept = 1024;

/**
 * A pure choice that remembers what it chose: choosing lays out shared memory, which is too slow for
 * every call. `nameOf` must tell apart all inputs whose choices differ.
 */
export function remembered<Args extends readonly unknown[], Choice>(
  nameOf: (...args: Args) => string,
  choose: (...args: Args) => Choice,
): (...args: Args) => Choice {
  const choices = new Map<string, Choice>();
  return (...args) => {
    const name = nameOf(...args);
    const known = choices.get(name);
    if (known !== undefined) return known;
    const choice = choose(...args);
    if (choices.size >= kept) choices.clear();
    choices.set(name, choice);
    return choice;
  };
}
