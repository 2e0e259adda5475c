// A `flash-mla serve` in a process of its own, as people run it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../../packages/flash-mla/bin/flash-mla.js', import.meta.url));

/**
 * Starts the command on a free port; resolves when it says that it is ready.
 *
 * @param args further options of `serve`
 * @param nodeArgs options of Node
 */
export async function startServer(args = [], nodeArgs = []) {
  const begin = performance.now();
  const child = spawn(process.execPath, [...nodeArgs, bin, 'serve', '--port', '0', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'exit').then(([code, signal]) => code ?? signal);
  let log = '';
  const url = await new Promise((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text) => {
      // What a server that runs for long may say is kept in part only.
      log = (log + text).slice(-20_000);
      const found = /is ready: (http:\/\/[\w.:[\]]+)/.exec(log)?.[1];
      if (found !== undefined) resolve(found);
    });
    exited.then((code) => reject(new Error(`the server ended with ${code}:\n${log}`)));
  });
  return {
    ...{ child, exited, url },
    readyMs: performance.now() - begin,
    log: () => log,
    /** Ends it; the exit code. */
    stop() {
      child.kill('SIGTERM');
      return exited;
    },
  };
}

/** The series of `/metrics` with this name, by their labels as they are written. */
export function series(text, name) {
  const found = {};
  for (const line of text.split('\n')) {
    const [, labels = '', value] = new RegExp(`^${name}(\\{[^}]*\\})? ([^ ]+)$`).exec(line) ?? [];
    if (value !== undefined) found[labels] = Number(value);
  }
  return found;
}

/** The one value of a series without labels that tell anything apart. */
export function valueIn(text, name) {
  return Object.values(series(text, name))[0];
}

export async function metricsOf(url) {
  return (await fetch(`${url}/metrics`)).text();
}
