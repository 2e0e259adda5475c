/**
 * The typed errors of the library. Every message states subject, expected, actual and, where there is
 * one, the remedy; what a caller may want to react to is a field.
 */

/** A short description of any value for a message. Never throws and never runs the value's code. */
export function describeValue(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 40 ? `${value.slice(0, 40)}…` : value}'`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'symbol' || typeof value === 'function') return `a ${typeof value}`;
  if (typeof value !== 'object' || value === null) return String(value);
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes of binary data`;
  if (!Array.isArray(value)) return 'an object';
  if (value.length > 8) return `an array of ${value.length}`;
  return `(${value.map((item) => (typeof item === 'object' ? '…' : describeValue(item))).join(', ')})`;
}

/** Base class: everything this library throws on purpose. */
export class FlashMlaError extends Error {
  override readonly name: string = 'FlashMlaError';
}

/** What an error says, in parts. */
export interface Problem {
  /** What is wrong: an option, a request, a field of a file. */
  readonly subject: string;
  readonly expected: string;
  readonly actual: string;
  /** What to do about it. */
  readonly remedy: string;
}

/** The base of errors that keep what they say in parts. */
export class ProblemError extends FlashMlaError implements Problem {
  override readonly name: string = 'ProblemError';
  readonly subject: string;
  readonly expected: string;
  readonly actual: string;
  readonly remedy: string;

  constructor({ subject, expected, actual, remedy }: Problem, options?: ErrorOptions) {
    super(`${subject}: expected ${expected}, got ${actual}. ${remedy}`, options);
    this.subject = subject;
    this.expected = expected;
    this.actual = actual;
    this.remedy = remedy;
  }
}

/** A call's argument is wrong. Thrown before anything is enqueued. */
export class InvalidArgumentError extends FlashMlaError {
  override readonly name = 'InvalidArgumentError';
  /** The argument's name as the caller wrote it, e.g. `blockTable` or `q.shape[3]`. */
  readonly argument: string;

  constructor(argument: string, expected: string, actual: string, remedy?: string) {
    super(`${argument}: expected ${expected}, got ${actual}${remedy ? `. ${remedy}` : ''}`);
    this.argument = argument;
  }
}

/** A backend or device cannot be opened here. */
export class BackendUnavailableError extends FlashMlaError {
  override readonly name = 'BackendUnavailableError';
  readonly backend: string;
  /** Why, in a few words. */
  readonly reason: string;
  /** What was looked for and where, in order, each with what was found. */
  readonly looked: readonly string[];
  readonly remedy: string;
  /** Whether this cannot change while the process lives, so that there is no use in trying again. */
  readonly lasting: boolean;

  constructor(
    backend: string,
    reason: string,
    looked: readonly string[],
    remedy: string,
    cause?: unknown,
    lasting = false,
  ) {
    const trail = looked.length > 0 ? ` Looked for: ${looked.join('; ')}.` : '';
    super(
      `backend '${backend}' is unavailable: ${reason}.${trail} ${remedy}`,
      cause === undefined ? undefined : { cause },
    );
    this.backend = backend;
    this.reason = reason;
    this.looked = looked;
    this.remedy = remedy;
    this.lasting = lasting;
  }
}

/** A GPU kernel did not compile. */
export class KernelCompileError extends FlashMlaError {
  override readonly name = 'KernelCompileError';
  readonly kernel: string;
  /** The compiler's own log. */
  readonly log: string;

  constructor(kernel: string, log: string, remedy?: string) {
    super(`kernel '${kernel}' did not compile: ${log.trim()}${remedy ? ` ${remedy}` : ''}`);
    this.kernel = kernel;
    this.log = log;
  }
}

/** No kernel of an operation runs on a device. */
export class UnsupportedOperationError extends FlashMlaError {
  override readonly name = 'UnsupportedOperationError';
  readonly operation: string;

  /** `call`: what kernel selection saw of it, as plain data. */
  constructor(operation: string, device: string, call?: object) {
    const what = call === undefined ? '' : `: ${JSON.stringify(call)}`;
    super(
      `no kernel of ${operation} takes this call on ${device}${what}. Use openDevice('cpu') for it.`,
    );
    this.operation = operation;
  }
}

/** The device has no room for an allocation. */
export class OutOfMemoryError extends FlashMlaError {
  override readonly name = 'OutOfMemoryError';
  /** Bytes that were asked for. */
  readonly requested: number;
  /** Bytes that were still free, where the device tells. */
  readonly available: number | undefined;

  constructor(device: string, requested: number, available: number | undefined, remedy: string) {
    const free = available === undefined ? '' : `, ${available} bytes are free`;
    super(`device '${device}' cannot allocate ${requested} bytes${free}. ${remedy}`);
    this.requested = requested;
    this.available = available;
  }
}

/** The device is gone or no longer usable; open it again, in a new process where that fails. */
export class DeviceLostError extends FlashMlaError {
  override readonly name = 'DeviceLostError';
  readonly device: string;

  constructor(device: string, reason: string, cause?: unknown) {
    super(
      `device '${device}' is lost: ${reason}. Open it again with openDevice(), in a new process if that fails.`,
      cause === undefined ? undefined : { cause },
    );
    this.device = device;
  }
}

/** A tensor, graph or device was used after it was disposed, or a device while something waited for it. */
export class DisposedError extends FlashMlaError {
  override readonly name = 'DisposedError';

  constructor(
    what: string,
    happened = 'was used after dispose()',
    remedy = 'Keep it alive until its last use has been enqueued.',
  ) {
    super(`${what} ${happened}. ${remedy}`);
  }

  /** What a pending `read()` or `synchronize()` of a device rejects with when its user closes it. */
  static whilePending(device: string): DisposedError {
    return new DisposedError(
      `device '${device}'`,
      'was disposed of before this was done',
      'Await read() and synchronize() before dispose().',
    );
  }
}

/** A file is not what it claims to be. */
export class FileFormatError extends FlashMlaError {
  override readonly name = 'FileFormatError';
  /** The field of the file that is wrong, e.g. `header.q.data_offsets`. */
  readonly field: string;

  constructor(file: string, field: string, expected: string, actual: string) {
    super(`${file}: ${field}: expected ${expected}, got ${actual}`);
    this.field = field;
  }
}
