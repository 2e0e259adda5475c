import { Command, CommanderError } from 'commander';
import { UsageError } from '../ops/bench/usage-error.ts';
import { commands } from './commands.ts';
import type { CommandContext } from './context.ts';

/**
 * Runs one command line and resolves to its exit code. Throws {@link UsageError} for a command line
 * that makes no sense, and whatever the command throws. Loads only the file of the command it names.
 */
export async function main(line: readonly string[], context: CommandContext): Promise<number> {
  const argv = withCompounds(line);
  const program = new Command('flash-mla')
    .description('Multi-head Latent Attention kernels, on CUDA, WebGPU and WebAssembly.')
    .helpCommand('help [command]', 'this text, or that of a command')
    .configureHelp({ showGlobalOptions: false });
  const named = argv[0] === 'help' ? argv[1] : argv[0];
  let exitCode = 0;
  for (const [name, { summary, load }] of Object.entries(commands)) {
    const command = program.command(name).description(summary).copyInheritedSettings(program);
    if (name !== named) continue;
    const module = await load();
    await module.define(command);
    command.action(async () => {
      exitCode = await module.run(command, context);
    });
  }
  if (argv.includes('--version') || argv.includes('-V')) {
    program.version((await import('./machine.ts')).packageVersion());
  } else program.option('-V, --version', 'the version');
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => context.write(text),
      writeErr: () => {},
      getOutHelpWidth: () => context.width ?? 100,
    });
  }
  try {
    if (argv.length === 0) context.write(program.helpInformation());
    else await program.parseAsync(wordsOf(argv), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    throw new UsageError(usageMessage(error.message, named));
  }
  return exitCode;
}

/** `bench serve` is one command, `bench-serve`; so it is behind `help`. */
function withCompounds(argv: readonly string[]): readonly string[] {
  const at = argv[0] === 'help' ? 1 : 0;
  const name = `${argv[at]}-${argv[at + 1]}`;
  if (!Object.hasOwn(commands, name)) return argv;
  return [...argv.slice(0, at), name, ...argv.slice(at + 2)];
}

/**
 * What to parse: of `help nope`, for which Commander has no message, the command that it names; of
 * `help help` the help itself.
 */
function wordsOf(argv: readonly string[]): readonly string[] {
  const [first, second = ''] = argv;
  if (first !== 'help' || second === '' || second.startsWith('-')) return argv;
  if (second === 'help') return ['help'];
  return Object.hasOwn(commands, second) ? argv : [second];
}

/** Commander's words, and where to read more. */
function usageMessage(message: string, named: string | undefined): string {
  const words = message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
  const known = named !== undefined && Object.hasOwn(commands, named) ? ` ${named}` : '';
  return `${words}${/[.?)]$/.test(words) ? '' : '.'} See \`flash-mla${known} --help\`.`;
}
