import { configDefaults, defineConfig } from 'vitest/config';
import { SlowFirst } from './scripts/testing/slow-first.ts';

const everywhere = [
  'packages/*/src/**/*.test.ts',
  'apps/*/src/**/*.test.ts',
  'apps/*/test/**/*.test.ts',
  'scripts/**/*.test.ts',
];
/**
 * Files that have a process of their own, since they change or measure what belongs to one: its environment, its
 * globals, its memory, its WebGPU, its GPU driver. All others share a process, one after the other, so that
 * what they import is loaded, and compiled by the engine, once. The long ones gain nothing from that.
 */
const alone = [
  'apps/*/test/**',
  'scripts/**',
  '**/webgpu/**',
  'packages/flash-mla/src/{command,runtime}/**',
  'packages/flash-mla/src/ops/conformance/{fuzz,sim}/**',
  'packages/flash-mla/src/ops/attention/nan-inputs.test.ts',
  'packages/flash-mla/src/ops/kv-cache/append.test.ts',
  'packages/flash-mla/src/models/device-{operations,runner-cpu}.test.ts',
  'packages/flash-mla/src/models/hisparse-runs.test.ts',
  'packages/server/src/{chat-page,clients,http,thread}/**',
];

// Tests run against the TypeScript sources ("source" export condition). What needs files that only a
// build makes (worker scripts, WebAssembly) finds them in `dist` and `wasm`: `npm test` builds first.
export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source', 'node'] } },
  test: {
    // It has a "source" condition of its own, whose files only Vite can read.
    server: { deps: { inline: [/\/node_modules\/(ai|@ai-sdk|eventsource-parser)\//] } },
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    sequence: { sequencer: SlowFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'together',
          include: everywhere,
          exclude: [...configDefaults.exclude, ...alone],
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'alone',
          include: alone.map((glob) => glob.replace(/\*\*$/, '**/*.test.ts')),
        },
      },
    ],
  },
});
