import { FlashMlaError, InvalidArgumentError } from '../errors.ts';

/** Exit codes of the command. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130, brokenPipe: 141 } as const;

/** The command line itself is wrong. */
export class UsageError extends FlashMlaError {
  override readonly name = 'UsageError';
}

/** An error as `--json` prints it. */
export interface ErrorReport {
  readonly error: {
    readonly name: string;
    readonly message: string;
    /** Typed errors only: their own fields, such as `argument` or `remedy`. */
    readonly [field: string]: unknown;
  };
}

/** 2 where the user's words or files are wrong, 1 for all else. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError || error instanceof InvalidArgumentError) return exitCodes.usage;
  if (error instanceof FlashMlaError && error.name === 'FileFormatError') return exitCodes.usage;
  return fileProblem(error) === undefined ? exitCodes.failed : exitCodes.usage;
}

/** One readable paragraph, without a stack. */
export function errorParagraph(error: unknown): string {
  const message = messageOf(error)
    .replace(/\s*\n\s*/g, ' ')
    .trim();
  if (error instanceof FlashMlaError) return message;
  if (fileProblem(error) !== undefined) return message;
  return `${message}. This is a bug of flash-mla: set FLASH_MLA_DEBUG=1 to see where it comes from.`;
}

/** The same for `--json`. */
export function errorReport(error: unknown): ErrorReport {
  const fields = error instanceof FlashMlaError ? { ...error } : {};
  const name = error instanceof Error ? error.name : 'Error';
  return { error: { ...fields, name, message: messageOf(error) } };
}

/** Why a backend is unavailable: its error's message without where was looked and the remedy. */
export function unavailableReason(message: string): string {
  return /is unavailable: (.*?)\.(?: |$)/s.exec(message)?.[1] ?? message;
}

function messageOf(error: unknown): string {
  return fileProblem(error) ?? (error instanceof Error ? error.message : String(error));
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a folder, not a file',
  ENOTDIR: 'a part of the path is not a folder',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EMFILE: 'too many files are open',
};

/** What is wrong with a path that the user named; undefined where the error is of another kind. */
function fileProblem(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, path } = error as NodeJS.ErrnoException;
  const reason = code === undefined ? undefined : reasons[code];
  if (reason === undefined || path === undefined) return undefined;
  return `${path}: ${reason}`;
}
