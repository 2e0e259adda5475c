export const titles: Readonly<Record<string, string>> = {
  webgpu: 'WebGPU',
  cpu: 'CPU threads',
  cuda: 'CUDA',
  sim: 'Simulated NVIDIA GPU',
};
