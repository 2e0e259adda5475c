import type { CacheShape } from './params.ts';

/** Parameters whose words do not say what they are about. */
const named = ['zeroLengths', 'invalid', 'empty'];

/** A case's name: its parameters in a fixed order. It is unique, seeds the data and is filtered by. */
export function caseName(params: { readonly op: string }): string {
  const words: string[] = [params.op];
  for (const [key, value] of Object.entries(params) as [string, unknown][]) {
    if (key === 'op' || value === undefined || value === false) continue;
    if (value === true) words.push(key);
    else if (typeof value === 'object') words.push(`${key}=${cacheText(value as CacheShape)}`);
    else if (typeof value === 'string' && !named.includes(key)) {
      words.push(key === 'sink' ? `${value}-sink` : value);
    } else words.push(`${key}=${value}`);
  }
  return words.join(' ');
}

function cacheText({ sK, topk, page, lengths }: CacheShape): string {
  return `${sK}:${topk}:${page}${lengths ? ':lengths' : ''}`;
}
