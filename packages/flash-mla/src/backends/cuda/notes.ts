import { debuglog } from 'node:util';

const log = debuglog('flash-mla');

/** Something worth knowing when looking for a problem: printed with `NODE_DEBUG=flash-mla`. */
export function debugNote(text: string): void {
  log('%s', text);
}
