import type { ServerContext } from './context.ts';

/** A step with a long prompt on a slow device takes seconds; one of this length has hung. */
const maxSilenceMs = 60_000;

/** Why the process should be started again; undefined while the engine may get well by itself. */
export async function whyNotAlive({ engine }: ServerContext): Promise<string | undefined> {
  const answer = await answerOf(engine);
  if (answer === 'stopped') return 'the engine has stopped';
  const hasHung = answer === 'silent' && engine.silentMs() > maxSilenceMs;
  return hasHung ? 'the engine does not answer' : undefined;
}

/** Why the server should get no requests now; undefined when it should. */
export async function isReady({ admission, engine }: ServerContext): Promise<string | undefined> {
  if (admission.isDraining) return 'draining';
  return (await answerOf(engine)) === 'well' ? undefined : 'the engine does not answer';
}

/** What the engine says within a second: probes do not wait longer. */
async function answerOf(engine: ServerContext['engine']): Promise<'well' | 'stopped' | 'silent'> {
  let timer: NodeJS.Timeout | undefined;
  const silent = new Promise<'silent'>((resolve) => {
    timer = setTimeout(resolve, 1000, 'silent');
  });
  const answer = engine.ping().then(
    () => 'well' as const,
    () => 'stopped' as const,
  );
  return Promise.race([answer, silent]).finally(() => clearTimeout(timer));
}
