import picocolors from 'picocolors';

export type Colors = ReturnType<typeof picocolors.createColors>;

/** NO_COLOR wins over FORCE_COLOR, which wins over what the stream is. */
export function colorsFor(isTerminal: boolean, env: NodeJS.ProcessEnv): Colors {
  const on = (name: string) => env[name] !== undefined && env[name] !== '';
  const enabled = !on('NO_COLOR') && ((on('FORCE_COLOR') && env.FORCE_COLOR !== '0') || isTerminal);
  return picocolors.createColors(enabled && (env.TERM !== 'dumb' || on('FORCE_COLOR')));
}
