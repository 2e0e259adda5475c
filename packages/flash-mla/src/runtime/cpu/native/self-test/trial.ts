/** What the process of a self-test is to run. */
export interface Trial {
  /** The file of koffi. */
  readonly koffi: string;
  /** Machine code and the memory that it works on, in base64. */
  readonly code: string;
  readonly memory: string;
  /** Where in the memory the job lies. */
  readonly job: number;
  /** Whether the code uses the tile registers. */
  readonly tiles: boolean;
}
