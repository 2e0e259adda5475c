import { readFileSync } from 'node:fs';
import { css } from './css.ts';
import { html } from './html.ts';

/** Modules of the page's script; tests run the sources, a browser what the build makes of them. */
const scripts = ['client.js', 'stream.js', 'answer-view.js'] as const;
const folder = import.meta.url.endsWith('.ts') ? '../../dist/chat-page/' : './';

const headers = {
  'cache-control': 'no-cache',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

export interface PageFile {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What a path of the page is answered with; undefined for a path that is none. */
export function pageFile(path: string): PageFile | undefined {
  if (path === '/') return file(html, 'text/html');
  if (path === '/chat/style.css') return file(css, 'text/css');
  const script = scripts.find((name) => path === `/chat/${name}`);
  if (script === undefined) return undefined;
  return file(readFileSync(new URL(folder + script, import.meta.url), 'utf8'), 'text/javascript');
}

function file(body: string, type: string): PageFile {
  return { body, headers: { ...headers, 'content-type': `${type}; charset=utf-8` } };
}
