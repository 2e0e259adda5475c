/** A version of Node that this package is not made for. */
export interface UnsupportedNode {
  readonly found: string;
  /** The oldest one that it is made for. */
  readonly required: string;
  readonly remedy: string;
}

/** Undefined where Node is new enough. `engines`: the range of package.json, `>=` and a version. */
export function unsupportedNode(found: string, engines: string): UnsupportedNode | undefined {
  const required = engines.replace(/^>=\s*/, '');
  const [have, need] = [numbers(found), numbers(required)];
  for (const [i, least] of need.entries()) {
    const part = have[i] ?? 0;
    if (part > least) return undefined;
    if (part < least) return { found, required, remedy: `Install Node ${required} or later.` };
  }
  return undefined;
}

function numbers(version: string): number[] {
  return version.split('.').map((part) => Number.parseInt(part, 10));
}
