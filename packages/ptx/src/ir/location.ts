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
/** Frames to look at: few at first, since their number is what a capture costs. */
const usualDepth = 7;
const fullDepth = 32;

/** What V8 tells about a frame, in the positions of the JavaScript that runs. */
interface CallSite {
  getFileName(): string | null | undefined;
  getLineNumber(): number | null;
  getColumnNumber(): number | null;
}

interface V8Error {
  captureStackTrace?: (target: object, below?: unknown) => void;
  prepareStackTrace?: ((error: Error, sites: CallSite[]) => unknown) | undefined;
  stackTraceLimit: number;
}

const v8 = Error as unknown as V8Error;
const known = new Map<string, Location>();
const internalFiles = new Map<string, boolean>();

/** The first stack frame that is not the builder's own: the line of the kernel being built. */
export function callerLocation(): Location {
  if (v8.captureStackTrace === undefined) return locate(new Error().stack ?? '');
  // Formatting a stack and translating it by source maps takes a hundred times longer than looking
  // at the raw frames, so it is done once per place in the code.
  const place =
    rawPlace(v8.captureStackTrace, usualDepth) || rawPlace(v8.captureStackTrace, fullDepth);
  let location = known.get(place);
  if (location === undefined) {
    const limit = v8.stackTraceLimit;
    v8.stackTraceLimit = fullDepth;
    location = locate(new Error().stack ?? '');
    v8.stackTraceLimit = limit;
    known.set(place, location);
  }
  return location;
}

/** Identifies the first frame that is not the builder's; empty if none is among so many. */
function rawPlace(capture: (target: object, below?: unknown) => void, depth: number): string {
  const { prepareStackTrace, stackTraceLimit } = v8;
  v8.prepareStackTrace = firstOutside;
  v8.stackTraceLimit = depth;
  const holder: { stack?: unknown } = {};
  try {
    capture(holder, callerLocation);
    return String(holder.stack);
  } finally {
    v8.prepareStackTrace = prepareStackTrace;
    v8.stackTraceLimit = stackTraceLimit;
  }
}

function firstOutside(_: Error, sites: CallSite[]): string {
  for (const site of sites) {
    const file = site.getFileName();
    if (typeof file !== 'string' || isInternal(file)) continue;
    return `${file}:${site.getLineNumber()}:${site.getColumnNumber()}`;
  }
  return '';
}

function isInternal(file: string): boolean {
  let result = internalFiles.get(file);
  if (result === undefined) {
    result = internal.test(file.replace(/\?.*$/, ''));
    internalFiles.set(file, result);
  }
  return result;
}

/** Finds the location in a formatted stack. */
function locate(stack: string): Location {
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

/** Cuts what depends on the machine, so that emitted text is the same everywhere. */
function relativePath(url: string): string {
  const path = decodeURIComponent(url.replace(/^\w+:\/\/[^/]*/, ''));
  const modules = path.lastIndexOf('/node_modules/');
  if (modules >= 0) return path.slice(modules + '/node_modules/'.length);
  const packages = path.lastIndexOf('/packages/');
  if (packages >= 0) return path.slice(packages + 1);
  return path.split('/').slice(-2).join('/');
}
