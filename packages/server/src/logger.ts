import { writeSync } from 'node:fs';
import { type DestinationStream, type Logger, pino } from 'pino';

/** A logger of JSON lines on stderr, since stdout belongs to what a program prints. */
export function createLogger(level: string): Logger {
  return pino({ level }, linesTo(2));
}

/**
 * Lines to an open file. One that cannot be written, because the disk is full or the reader is gone, is lost: nobody
 * can be told of it, and requests matter more.
 */
export function linesTo(file: number): DestinationStream {
  return {
    write(line: string): void {
      let rest = Buffer.from(line);
      try {
        while (rest.length > 0) rest = rest.subarray(writeSync(file, rest));
      } catch {}
    },
  };
}
