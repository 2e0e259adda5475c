/**
 * What a server must send with every file of the page. The development server, the preview server and
 * the `_headers` file of the build take it from here.
 */

/** Nothing inline, nothing evaluated, nothing from elsewhere; WebAssembly is the one exception. */
export function contentSecurityPolicy(styleNonce?: string): string {
  const nonce = styleNonce === undefined ? '' : ` 'nonce-${styleNonce}'`;
  return [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self'",
    `style-src 'self'${nonce}`,
    "img-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/**
 * The same for a `<meta>` element of the page, where a host sends no headers (GitHub Pages). Who may
 * frame the page can only be said in a header.
 */
export function policyInPage(styleNonce?: string): string {
  const rules = contentSecurityPolicy(styleNonce).split('; ');
  return rules.filter((rule) => !rule.startsWith('frame-ancestors')).join('; ');
}

/** Isolated from other origins: browsers share memory between threads only then. */
export function pageHeaders(styleNonce?: string): Record<string, string> {
  return {
    'Content-Security-Policy': contentSecurityPolicy(styleNonce),
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Embedder-Policy': 'require-corp',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
  };
}
