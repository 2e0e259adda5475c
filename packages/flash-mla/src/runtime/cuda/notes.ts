/**
 * Something worth knowing when looking for a problem: printed with `NODE_DEBUG=flash-mla`. Not by
 * `node:util`, because the simulator shares this code and also runs in a browser.
 */
export function debugNote(text: string): void {
  const wanted = globalThis.process?.env?.NODE_DEBUG?.split(',').includes('flash-mla');
  if (wanted) console.error(`flash-mla: ${text}`);
}
