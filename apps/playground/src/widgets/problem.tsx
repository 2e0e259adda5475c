import { EngineError } from '../engine/client.ts';

/** What went wrong, in the words of the library. */
export function Problem({ error }: { readonly error: unknown }) {
  if (error === undefined || EngineError.isAbort(error)) return null;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return (
    <p class="problem" role="alert">
      <strong>{name}</strong> {message}
    </p>
  );
}
