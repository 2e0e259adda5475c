/**
 * The commands of a module, in an order that the host and the workers share because it is the module's own:
 * the index of a command travels to the workers.
 */
export function commandNames(module: WebAssembly.Module): readonly string[] {
  return WebAssembly.Module.exports(module)
    .filter(({ kind }) => kind === 'function')
    .map(({ name }) => name);
}

/** The index of a command. Throws `RangeError` where the module has none of this name. */
export function commandIndex(names: readonly string[], name: string): number {
  const index = names.indexOf(name);
  if (index < 0) throw new RangeError(`the WebAssembly kernels have no command ${name}`);
  return index;
}
