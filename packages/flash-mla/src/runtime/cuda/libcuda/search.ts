/** Where libcuda may be, in the order of trying. */
export interface SearchPlace {
  readonly path: string;
  /** Why it is looked for there. */
  readonly origin: string;
}

/** What the search depends on: passed in, so that every platform can be tested on one. */
export interface SearchEnvironment {
  readonly platform: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
}

/** Names the driver library for a platform. `FLASH_MLA_LIBCUDA`, if set, is the only place. */
export function searchPlaces({ platform, variables }: SearchEnvironment): SearchPlace[] {
  const override = variables.FLASH_MLA_LIBCUDA;
  if (override !== undefined && override !== '') {
    return [{ path: override, origin: 'FLASH_MLA_LIBCUDA' }];
  }
  if (platform === 'win32') return [{ path: 'nvcuda.dll', origin: 'system directory' }];
  if (platform !== 'linux') return [];
  return [
    { path: 'libcuda.so.1', origin: 'library search path' },
    { path: 'libcuda.so', origin: 'library search path' },
    { path: '/usr/lib/wsl/lib/libcuda.so.1', origin: 'WSL' },
    { path: '/usr/local/nvidia/lib64/libcuda.so.1', origin: 'container runtime' },
    { path: '/run/opengl-driver/lib/libcuda.so.1', origin: 'NixOS' },
  ];
}
