import { randomBytes } from 'node:crypto';
import { defineConfig, type Plugin } from 'vite';
import { pageHeaders, policyInPage } from './headers.ts';

/** `_headers` is what Netlify and Cloudflare Pages read; other hosts are told by hand. */
function headersFile(): Plugin {
  return {
    name: 'headers-file',
    apply: 'build',
    generateBundle() {
      const lines = Object.entries(pageHeaders()).map(([name, value]) => `  ${name}: ${value}`);
      this.emitFile({
        type: 'asset',
        fileName: '_headers',
        source: `/*\n${lines.join('\n')}\n`,
      });
    },
  };
}

/** The policy as the first element of the page, so that nothing comes before it. */
function policyElement(styleNonce: string | undefined): Plugin {
  const content = policyInPage(styleNonce);
  return {
    name: 'policy-element',
    transformIndexHtml: () => [
      {
        tag: 'meta',
        attrs: { 'http-equiv': 'Content-Security-Policy', content },
        injectTo: 'head-prepend',
      },
    ],
  };
}

export default defineConfig(({ command, isPreview }) => {
  // The development server puts styles into the page by script; a build has style sheets only.
  const nonce = command === 'serve' && !isPreview ? randomBytes(16).toString('base64') : undefined;
  return {
    // Relative, so that the page works in any folder of a host.
    base: './',
    plugins: [headersFile(), policyElement(nonce)],
    esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
    ...(nonce !== undefined && { html: { cspNonce: nonce } }),
    build: {
      target: 'es2022',
      // A data: URL would need a hole in the policy.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
    worker: { format: 'es' },
    server: { headers: pageHeaders(nonce) },
    preview: { headers: pageHeaders() },
  };
});
