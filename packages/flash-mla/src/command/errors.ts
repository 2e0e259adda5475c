import { getSystemErrorMap } from 'node:util';
import { FlashMlaError, InvalidArgumentError } from '@flash-mla/core';
import { UsageError } from '../ops/bench/usage-error.ts';
import { printable } from './terminal/printable.ts';

/** Exit codes of the command. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130, brokenPipe: 141 } as const;

/** An error as `--json` prints it. */
export interface ErrorReport {
  readonly error: {
    readonly name: string;
    readonly message: string;
    /** Typed errors only: their own fields, such as `argument` or `remedy`. */
    readonly [field: string]: unknown;
  };
}

/** Errors about what the user names, by name: the packages that define them are not loaded for it. */
const usageErrors = new Set([
  'FileFormatError',
  'ModelNotFoundError',
  'ModelConfigError',
  'UnsupportedModelError',
  'CheckpointError',
  'TokenizerError',
  'ModelOptionError',
  'EngineOptionError',
  'ServerOptionError',
  'MissingPackageError',
]);

/** 2 where the user's words or files are wrong, 1 for all else. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError || error instanceof InvalidArgumentError) return exitCodes.usage;
  if (error instanceof FlashMlaError && usageErrors.has(error.name)) return exitCodes.usage;
  const { code = '', path } = systemError(error) ?? {};
  return path === undefined || exhausted.has(code) ? exitCodes.failed : exitCodes.usage;
}

/** One readable paragraph, without a stack and without anything that a terminal would act on. */
export function errorParagraph(error: unknown): string {
  const message = printable(
    messageOf(error)
      .replace(/\s*\n\s*/g, ' ')
      .trim(),
  );
  if (error instanceof FlashMlaError || systemError(error) !== undefined) return message;
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
  return systemProblem(error) ?? (error instanceof Error ? error.message : String(error));
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
  EEXIST: 'there is a file of that name already',
  EDQUOT: 'the quota of the disk is used up',
};

/** The path that comes with these may be right. */
const exhausted = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'ENOMEM', 'EIO']);

/** An error of the operating system; undefined where the error is of another kind. */
function systemError(error: unknown): NodeJS.ErrnoException | undefined {
  return error instanceof Error && 'errno' in error ? (error as NodeJS.ErrnoException) : undefined;
}

/** What the operating system refused, with the path that it was about where there is one. */
function systemProblem(error: unknown): string | undefined {
  const { code = '', errno = 0, path, syscall } = systemError(error) ?? {};
  if (errno === 0) return undefined;
  const reason = reasons[code] ?? getSystemErrorMap().get(errno)?.[1] ?? code;
  return `${path ?? syscall ?? 'system'}: ${reason}`;
}
