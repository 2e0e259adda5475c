import { type Logger, pino } from 'pino';

/** A logger of JSON lines on stderr, since stdout belongs to what a program prints. */
export function createLogger(level: string): Logger {
  return pino({ level }, pino.destination(2));
}
