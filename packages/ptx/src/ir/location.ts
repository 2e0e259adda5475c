/** A place in TypeScript source: path relative to its package or repository, and the line. */
export interface Location {
  readonly file: string;
  readonly line: number;
}

/** Stands where the engine gives no usable stack. */
export const unknownLocation: Location = { file: 'unknown', line: 0 };

// Frames inside these folders belong to the builder, so the first frame outside them is the line
// that a kernel writer wrote. Examples, golden kernels and tests count as the writer's.
const internal =
  /\/ptx\/(?:src|dist)\/(?:ir|builder|instructions|layout|library|emit)\/[\w/]+\.[jt]s$/;
const frame = /(?:\(|at |@)((?:file:\/\/|https?:\/\/|\/)[^()]*?):(\d+):\d+\)?$/;

/** The first stack frame that is not the builder's own: the line of the kernel being built. */
export function callerLocation(): Location {
  const holder: { stack?: string } = {};
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 24;
  const stack = captured(holder);
  Error.stackTraceLimit = limit;
  for (const line of stack.split('\n')) {
    const match = frame.exec(line.trim());
    if (match?.[1] === undefined || match[2] === undefined) continue;
    const url = match[1].startsWith('/') ? `file://${match[1]}` : match[1];
    const file = url.replace(/\?.*$/, '');
    if (internal.test(file)) continue;
    return { file: relativePath(file), line: Number(match[2]) };
  }
  return unknownLocation;
}

function captured(holder: { stack?: string }): string {
  const capture = (Error as { captureStackTrace?: (target: object) => void }).captureStackTrace;
  if (capture === undefined) return new Error().stack ?? '';
  capture(holder);
  return holder.stack ?? '';
}

/** Cuts what depends on the machine, so that emitted text is the same everywhere. */
function relativePath(url: string): string {
  const path = decodeURIComponent(url.replace(/^\w+:\/\/[^/]*/, ''));
  const modules = path.lastIndexOf('/node_modules/');
  if (modules >= 0) return path.slice(modules + '/node_modules/'.length);
  const packages = path.lastIndexOf('/packages/');
  if (packages >= 0) return path.slice(packages + 1);
  return path.split('/').slice(-2).join('/');
}
