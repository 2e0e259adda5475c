/** Parameters whose words do not say what they are about. */
const named = ['zeroLengths', 'invalid', 'empty'];

/** A case's name: its parameters in a fixed order. It is unique, seeds the data and is filtered by. */
export function caseName(params: { readonly op: string }): string {
  const words: string[] = [params.op];
  for (const [key, value] of Object.entries(params) as [string, unknown][]) {
    if (key === 'op' || value === undefined || value === false) continue;
    if (value === true) words.push(key);
    else if (typeof value === 'object') words.push(`${key}=${groupText(value as object)}`);
    else if (typeof value === 'string' && !named.includes(key)) {
      words.push(key === 'sink' ? `${value}-sink` : value);
    } else words.push(`${key}=${value}`);
  }
  return words.join(' ');
}

/** Parameters that belong together: numbers as they are, flags by their names. */
function groupText(group: object): string {
  return Object.entries(group)
    .filter(([, value]) => value !== undefined && value !== false)
    .map(([key, value]) => (value === true ? key : String(value)))
    .join(':');
}
