/**
 * Whether an environment variable that turns something on does: `0`, `false`, `no`, `off` and nothing
 * at all do not. False where there is no environment, as in a browser.
 */
export function environmentFlag(name: string): boolean {
  const value = globalThis.process?.env?.[name] ?? '';
  return !['', '0', 'false', 'no', 'off'].includes(value.trim().toLowerCase());
}
