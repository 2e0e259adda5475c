import { createRequire } from 'node:module';

/** The file of koffi. @throws where it is not installed. */
export const findKoffi = (): string => createRequire(import.meta.url).resolve('koffi');
