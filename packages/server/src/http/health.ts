import type { ServerContext } from './context.ts';

/** Why the server should get no requests now; undefined when it should. */
export async function isReady({ admission, engine }: ServerContext): Promise<string | undefined> {
  if (admission.isDraining) return 'draining';
  const answers = engine.ping().then(
    () => true,
    () => false,
  );
  const timeout = new Promise<boolean>((resolve) => setTimeout(resolve, 1000, false).unref());
  return (await Promise.race([answers, timeout])) ? undefined : 'the engine does not answer';
}
