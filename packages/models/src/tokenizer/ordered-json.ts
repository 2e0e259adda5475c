/** JSON whose object keys keep their order and whose numbers keep their text, as JSON.parse does not. */
export type OrderedJson =
  | string
  | { readonly literal: string }
  | readonly OrderedJson[]
  | ReadonlyMap<string, OrderedJson>;

/** Parses JSON. Throws SyntaxError for what is none. */
export function parseOrdered(text: string): OrderedJson {
  // The engine says what is wrong with it; what follows may take for granted that nothing is.
  JSON.parse(text);
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let at = 0;
  const value = (): OrderedJson => {
    const token = tokens[at++] ?? '';
    if (token === '{') return object();
    if (token === '[') return list();
    return token.startsWith('"') ? (JSON.parse(token) as string) : { literal: token };
  };
  const object = () => {
    const entries = new Map<string, OrderedJson>();
    while (tokens[at] !== '}') {
      const key = JSON.parse(tokens[at] ?? '""') as string;
      at += 2;
      entries.set(key, value());
      if (tokens[at] === ',') at++;
    }
    at++;
    return entries;
  };
  const list = () => {
    const items: OrderedJson[] = [];
    while (tokens[at] !== ']') {
      items.push(value());
      if (tokens[at] === ',') at++;
    }
    at++;
    return items;
  };
  return value();
}

/** As Python's json.dumps writes it: with a space behind each comma and colon, and numbers as Python has them. */
export function pythonJson(value: OrderedJson): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if ('literal' in value) return pythonLiteral(value.literal);
  if (value instanceof Map) {
    const entries = [...value].map(([key, own]) => `${JSON.stringify(key)}: ${pythonJson(own)}`);
    return `{${entries.join(', ')}}`;
  }
  return `[${[...(value as readonly OrderedJson[])].map(pythonJson).join(', ')}]`;
}

function pythonLiteral(text: string): string {
  if (!/[.eE]/.test(text) || /^[tfn]/.test(text)) return text === '-0' ? '0' : text;
  const value = Number(text);
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  // Both languages write the fewest digits that read back the same; Python has exponents from 1e16 on and below 1e-4.
  const [digits = '', power = '0'] = value.toExponential().split('e');
  const own = Number(power);
  if (own >= 16 || own < -4) {
    const sign = own < 0 ? '-' : '+';
    return `${digits}e${sign}${String(Math.abs(own)).padStart(2, '0')}`;
  }
  const plain = String(value);
  return plain.includes('.') ? plain : `${plain}.0`;
}
