// What Dawn offers of an adapter, with and without what it hides behind toggles: shader-f16, and subgroup
// matrices with their configurations.
//   node bench/webgpu/offered.mjs      APP: see cuda/app.mjs
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../cuda/app.mjs';

const require = createRequire(join(root, 'node_modules/flash-mla/package.json'));
const { create } = await import(pathToFileURL(require.resolve('webgpu')).href);
const toggleSets = [
  [],
  ['allow_unsafe_apis'],
  ['allow_unsafe_apis', 'vulkan_enable_f16_on_nvidia'],
];
const features = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'];

for (const toggles of toggleSets) {
  const gpu = create(toggles.length > 0 ? [`enable-dawn-features=${toggles.join(',')}`] : []);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  console.log(
    `${toggles.join(' + ') || 'no toggles'}: ${adapter?.info.description ?? 'no adapter'}`,
  );
  if (!adapter) continue;
  for (const name of features) console.log(`  ${name}: ${adapter.features.has(name)}`);
  const configs = [...(adapter.info.subgroupMatrixConfigs ?? [])];
  console.log(`  matrix configurations: ${configs.length || 'none'}`);
  for (const config of configs) {
    const names = Object.getOwnPropertyNames(Object.getPrototypeOf(config));
    const fields = names.filter((name) => name !== 'constructor');
    console.log(`    ${fields.map((name) => `${name} ${config[name]}`).join(', ')}`);
  }
}
