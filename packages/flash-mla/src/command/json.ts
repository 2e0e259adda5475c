/**
 * A value as the JSON text that a command prints or writes. JSON knows no infinities and no NaN: they
 * become words. Control characters that JSON lets through, and terminals act on, are escaped.
 */
export function jsonText(value: unknown, indent = 2): string {
  const plain = (_key: string, item: unknown) =>
    typeof item === 'number' && !Number.isFinite(item) ? String(item) : item;
  const text = JSON.stringify(value, plain, indent);
  const escaped = (character: string) => `\\u00${character.charCodeAt(0).toString(16)}`;
  return `${text.replace(/[\u007f-\u009f]/g, escaped)}\n`;
}
