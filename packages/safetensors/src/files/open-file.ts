/** A file that is read by range. */
export interface OpenFile {
  readonly size: number;
  /** The bytes `begin` to `end`; fewer where the file has shrunk. */
  read(begin: number, end: number): Promise<Uint8Array>;
  /** Fills memory with the bytes from `begin` on; fewer where the file has shrunk. Gives how many. */
  readInto(target: Uint8Array, begin: number): Promise<number>;
  close(): Promise<void>;
}
