/** An environment variable of this library that is set. */
export interface SetVariable {
  readonly name: string;
  readonly value: string;
  /** Whether it means anything. */
  readonly valid: boolean;
  /** What it does, or what it could be. */
  readonly meaning: string;
}

interface Known {
  readonly meaning: string;
  readonly expected?: string;
  fits?(value: string): boolean;
}

const prefix = 'FLASH_MLA_';

const known: Readonly<Record<string, Known>> = {
  FLASH_MLA_DEBUG: {
    meaning: 'checks block tables, indices and lengths on the device; 0 or false: off',
  },
  FLASH_MLA_WEBGPU_PROFILE: {
    meaning: 'with which limits and features of its adapter webgpu is opened',
    expected: 'adapter or default',
    fits: (value) => ['adapter', 'default'].includes(value),
  },
  FLASH_MLA_CPU: {
    meaning: 'which kernels the processor runs: machine code, or WebAssembly',
    expected: 'amx, avx512, avx2 or wasm',
    fits: (value) => ['amx', 'avx512', 'avx2', 'wasm'].includes(value.trim().toLowerCase()),
  },
  FLASH_MLA_LIBCUDA: { meaning: 'where the CUDA driver library is' },
  FLASH_MLA_CACHE_DIR: {
    meaning: 'where compiled CUDA kernels and verdicts on machine code are kept',
  },
  FLASH_MLA_CACHE_MB: {
    meaning: 'how many megabytes of compiled CUDA kernels are kept',
    expected: 'a number from 0 on',
    fits: (value) => Number(value) >= 0,
  },
  FLASH_MLA_POOL: {
    meaning: 'gives every CUDA tensor memory of its own',
    expected: 'off',
    fits: (value) => value === 'off',
  },
};

/** The variables of this library that are set to something, by name. */
export function setVariables(env: NodeJS.ProcessEnv): SetVariable[] {
  const names = Object.keys(env).filter((name) => name.startsWith(prefix));
  return names.sort().flatMap((name) => {
    const value = env[name] ?? '';
    if (value === '') return [];
    const entry = Object.hasOwn(known, name) ? known[name] : undefined;
    if (entry === undefined) {
      const meaning = `no variable of flash-mla: it has ${Object.keys(known).join(', ')}`;
      return [{ name, value, valid: false, meaning }];
    }
    const valid = entry.fits?.(value) ?? true;
    return [{ name, value, valid, meaning: valid ? entry.meaning : `expected ${entry.expected}` }];
  });
}
