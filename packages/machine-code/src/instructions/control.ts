import { either, form, writing } from './form.ts';

const conditional = (code: string) => form('target', `7${code} cb | 0F 8${code} cd`);
const locked = (digit: number, opcode: string) =>
  either(
    form('m64, r64', `F0 REX.W ${opcode} /r`),
    form('m32, r32', `F0 ${opcode} /r`),
    form('m64, imm8', `F0 REX.W 83 /${digit} ib`),
    form('m32, imm8', `F0 83 /${digit} ib`),
    form('m64, imm32', `F0 REX.W 81 /${digit} id`),
    form('m32, imm32', `F0 81 /${digit} id`),
  );

/** Jumps, calls, atomic operations, prefetches and what asks or tells the processor something. */
export const control = {
  jmp: either(form('target', 'EB cb | E9 cd'), form('r64/m64', 'FF /4')),
  /** Carry, or unsigned below. */
  jb: conditional('2'),
  jae: conditional('3'),
  je: conditional('4'),
  jne: conditional('5'),
  jbe: conditional('6'),
  ja: conditional('7'),
  js: conditional('8'),
  jns: conditional('9'),
  /** Unordered, after comparing floats. */
  jp: conditional('A'),
  jnp: conditional('B'),
  /** Less, with signs. */
  jl: conditional('C'),
  jge: conditional('D'),
  jle: conditional('E'),
  jg: conditional('F'),
  call: either(form('target', 'E8 cd'), form('r64/m64', 'FF /2')),
  ret: form('', 'C3'),
  leave: writing([5], form('', 'C9')),
  nop: form('', '90'),
  /** Raises an illegal-instruction fault: marks what must not be reached. */
  ud2: form('', '0F 0B'),
  int3: form('', 'CC'),
  /** Eases a loop that waits for another thread. */
  pause: form('', 'F3 90'),
  syscall: writing([0, 1, 11], form('', '0F 05')),
  /** Reads leaf eax, subleaf ecx into eax, ebx, ecx, edx. */
  cpuid: writing([0, 1, 2, 3], form('', '0F A2')),
  /** Which states the operating system saves: register ecx into edx:eax. */
  xgetbv: writing([0, 2], form('', '0F 01 D0')),
  rdtsc: writing([0, 2], form('', '0F 31')),
  rdtscp: writing([0, 1, 2], form('', '0F 01 F9', 'rdtscp')),
  lfence: form('', '0F AE E8'),
  mfence: form('', '0F AE F0'),
  /** Orders non-temporal stores before what follows. */
  sfence: form('', '0F AE F8'),
  prefetchnta: form('m8', '0F 18 /0'),
  prefetcht0: form('m8', '0F 18 /1'),
  prefetcht1: form('m8', '0F 18 /2'),
  prefetcht2: form('m8', '0F 18 /3'),
  /** Fetches a line that will be written. */
  prefetchw: form('m8', '0F 0D /1', '3dnowprefetch'),
  xadd: either(form('r64/m64, r64', 'REX.W 0F C1 /r'), form('r32/m32, r32', '0F C1 /r')),
  /** Adds to memory in one piece; the register gets what was there before. */
  lock_xadd: either(form('m64, r64', 'F0 REX.W 0F C1 /r'), form('m32, r32', 'F0 0F C1 /r')),
  /** Replaces memory if it equals rax, in one piece; otherwise rax gets what is there. */
  lock_cmpxchg: writing(
    [0],
    either(form('m64, r64', 'F0 REX.W 0F B1 /r'), form('m32, r32', 'F0 0F B1 /r')),
  ),
  lock_add: locked(0, '01'),
  lock_or: locked(1, '09'),
  lock_and: locked(4, '21'),
  lock_sub: locked(5, '29'),
  lock_inc: either(form('m64', 'F0 REX.W FF /0'), form('m32', 'F0 FF /0')),
  lock_dec: either(form('m64', 'F0 REX.W FF /1'), form('m32', 'F0 FF /1')),
} as const;
