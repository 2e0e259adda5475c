/** The script of the process that tests machine code, made by the build. */
export const script: string;
