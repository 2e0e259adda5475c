/** A file that is read by range. */
export interface OpenFile {
  readonly size: number;
  /** The bytes `begin` to `end`; fewer where the file has shrunk. */
  read(begin: number, end: number): Promise<Uint8Array>;
  close(): Promise<void>;
}
