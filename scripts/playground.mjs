// `npm run playground`: installs and builds what is missing, builds the page and serves it as it would be
// hosted. `-- --dev` serves the sources instead and follows changes; other arguments go to Vite.
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, tool } from './workspace.mjs';

ensureInstalled();
ensureBuilt();
const app = join(root, 'apps', 'playground');
const args = process.argv.slice(2);
const isDev = args.includes('--dev');
const rest = args.filter((argument) => argument !== '--dev');
if (!isDev) tool('vite/bin/vite.js', ['build', '--logLevel', 'warn'], { cwd: app });
tool('vite/bin/vite.js', [isDev ? 'dev' : 'preview', ...rest], { cwd: app });
