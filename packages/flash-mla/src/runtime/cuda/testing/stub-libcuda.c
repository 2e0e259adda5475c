/*
 * A libcuda whose device is the host: memory is malloc, streams run at once, and the one kernel it
 * knows copies words. It holds the calls made through koffi to cuda.h: built with -DUSE_CUDA_H the
 * compiler checks every prototype and struct against the real header.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef USE_CUDA_H
#include <cuda.h>
#define CHECK(condition) _Static_assert(condition, #condition)
CHECK(sizeof(CUlaunchConfig) == 56);
CHECK(offsetof(CUlaunchConfig, hStream) == 32);
CHECK(offsetof(CUlaunchConfig, attrs) == 40);
CHECK(offsetof(CUlaunchConfig, numAttrs) == 48);
CHECK(sizeof(CUlaunchAttribute) == 72);
CHECK(offsetof(CUlaunchAttribute, value) == 8);
CHECK(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION == 4);
CHECK(CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION == 6);
CHECK(CU_JIT_ERROR_LOG_BUFFER == 5 && CU_JIT_TARGET == 9 && CU_JIT_LOG_VERBOSE == 12);
CHECK(CU_TARGET_COMPUTE_90A == 0x10000 + 90 && CU_JIT_INPUT_PTX == 1);
CHECK(CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES == 3 && CU_FUNC_ATTRIBUTE_NUM_REGS == 4);
CHECK(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES == 8);
CHECK(CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED == 14);
CHECK(sizeof(CUtensorMap) == 128 && CU_TENSOR_MAP_DATA_TYPE_UINT16 == 1);
CHECK(CU_TENSOR_MAP_DATA_TYPE_UINT32 == 2 && CU_TENSOR_MAP_DATA_TYPE_INT32 == 3);
CHECK(CU_TENSOR_MAP_DATA_TYPE_UINT64 == 4 && CU_TENSOR_MAP_DATA_TYPE_INT64 == 5);
CHECK(CU_TENSOR_MAP_DATA_TYPE_FLOAT16 == 6 && CU_TENSOR_MAP_DATA_TYPE_FLOAT32 == 7);
CHECK(CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 == 9 && CU_TENSOR_MAP_SWIZZLE_128B == 3);
CHECK(CU_TENSOR_MAP_L2_PROMOTION_L2_128B == 2 && CU_TENSOR_MAP_L2_PROMOTION_L2_256B == 3);
CHECK(CU_STREAM_NON_BLOCKING == 1 && CU_EVENT_DISABLE_TIMING == 2);
CHECK(CU_STREAM_CAPTURE_MODE_RELAXED == 2 && CU_MEMHOSTALLOC_PORTABLE == 1);
#else
#define CUDAAPI
typedef int CUresult, CUdevice, CUdevice_attribute, CUfunction_attribute, CUjitInputType,
    CUjit_option, CUstreamCaptureMode, CUtensorMapDataType, CUtensorMapInterleave,
    CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill;
typedef uint64_t cuuint64_t;
typedef uint32_t cuuint32_t;
typedef struct {
  uint64_t opaque[16];
} CUtensorMap;
typedef uint64_t CUdeviceptr;
typedef void *CUcontext, *CUmodule, *CUfunction, *CUstream, *CUevent, *CUlinkState, *CUgraph,
    *CUgraphExec;
typedef struct {
  unsigned gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes;
  CUstream hStream;
  void *attrs;
  unsigned numAttrs;
} CUlaunchConfig;
#endif

static char code[] = "stub code";
static size_t allocated = 0;
#define CARD ((size_t)1 << 30)

CUresult CUDAAPI cuInit(unsigned flags) { return flags; }
CUresult CUDAAPI cuDriverGetVersion(int *version) { *version = 13000; return 0; }
CUresult CUDAAPI cuGetErrorName(CUresult error, const char **text) {
  *text = error == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_STUB";
  return 0;
}
CUresult CUDAAPI cuGetErrorString(CUresult error, const char **text) {
  *text = error == 2 ? "out of memory" : "stub";
  return 0;
}
CUresult CUDAAPI cuDeviceGetCount(int *count) { *count = 1; return 0; }
CUresult CUDAAPI cuDeviceGet(CUdevice *device, int ordinal) { *device = ordinal; return 0; }
CUresult CUDAAPI cuDeviceGetName(char *name, int length, CUdevice device) {
  (void)device;
  strncpy(name, "Stub in C", length);
  return 0;
}
CUresult CUDAAPI cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
  (void)device;
  *bytes = CARD;
  return 0;
}
CUresult CUDAAPI cuDeviceGetAttribute(int *value, CUdevice_attribute id, CUdevice device) {
  (void)device;
  *value = id == 75 ? 9 : id == 76 ? 0 : id == 16 ? 132 : id == 97 ? 232448 : 1000;
  return 0;
}
CUresult CUDAAPI cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  (void)device;
  *context = (CUcontext)0x7fff12345678;
  return 0;
}
CUresult CUDAAPI cuDevicePrimaryCtxRelease_v2(CUdevice device) { (void)device; return 0; }
CUresult CUDAAPI cuDevicePrimaryCtxReset_v2(CUdevice device) { (void)device; return 0; }
CUresult CUDAAPI cuCtxSetCurrent(CUcontext context) {
  return context == (CUcontext)0x7fff12345678 ? 0 : 201;
}
CUresult CUDAAPI cuMemGetInfo_v2(size_t *available, size_t *total) {
  *available = CARD - allocated;
  *total = CARD;
  return 0;
}
CUresult CUDAAPI cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
  if (bytes > CARD - allocated) return 2;
  *address = (CUdeviceptr)(uintptr_t)malloc(bytes);
  allocated += bytes;
  return 0;
}
CUresult CUDAAPI cuMemFree_v2(CUdeviceptr address) { free((void *)(uintptr_t)address); return 0; }
CUresult CUDAAPI cuMemHostAlloc(void **address, size_t bytes, unsigned flags) {
  (void)flags;
  *address = malloc(bytes);
  return 0;
}
CUresult CUDAAPI cuMemHostRegister_v2(void *address, size_t bytes, unsigned flags) {
  return (uintptr_t)address % 65536 == 0 && bytes % 65536 == 0 && flags == 3 ? 0 : 1;
}
CUresult CUDAAPI cuMemHostGetDevicePointer_v2(CUdeviceptr *device, void *address, unsigned flags) {
  *device = (CUdeviceptr)(uintptr_t)address;
  return flags == 0 ? 0 : 1;
}
CUresult CUDAAPI cuMemHostUnregister(void *address) {
  return (uintptr_t)address % 65536 == 0 ? 0 : 1;
}
CUresult CUDAAPI cuMemFreeHost(void *address) { free(address); return 0; }
CUresult CUDAAPI cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t n, CUstream stream) {
  (void)stream;
  memcpy((void *)(uintptr_t)to, from, n);
  return 0;
}
CUresult CUDAAPI cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t n, CUstream stream) {
  (void)stream;
  memcpy(to, (void *)(uintptr_t)from, n);
  return 0;
}
CUresult CUDAAPI cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream stream) {
  (void)stream;
  memmove((void *)(uintptr_t)to, (void *)(uintptr_t)from, n);
  return 0;
}
CUresult CUDAAPI cuMemsetD32Async(CUdeviceptr to, unsigned word, size_t n, CUstream stream) {
  (void)stream;
  for (size_t i = 0; i < n; i++) ((unsigned *)(uintptr_t)to)[i] = word;
  return 0;
}
CUresult CUDAAPI cuStreamCreate(CUstream *stream, unsigned flags) {
  (void)flags;
  *stream = (CUstream)0x7ffe00001000;
  return 0;
}
CUresult CUDAAPI cuStreamDestroy_v2(CUstream stream) { (void)stream; return 0; }
CUresult CUDAAPI cuEventCreate(CUevent *event, unsigned flags) {
  (void)flags;
  *event = (CUevent)0x7ffe00002000;
  return 0;
}
CUresult CUDAAPI cuEventDestroy_v2(CUevent event) { (void)event; return 0; }
CUresult CUDAAPI cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
  return event == (CUevent)0x7ffe00002000 && stream == (CUstream)0x7ffe00001000 && !flags ? 0 : 400;
}
CUresult CUDAAPI cuEventRecord(CUevent event, CUstream stream) {
  return event == (CUevent)0x7ffe00002000 && stream == (CUstream)0x7ffe00001000 ? 0 : 400;
}
CUresult CUDAAPI cuEventQuery(CUevent event) { (void)event; return 0; }
CUresult CUDAAPI cuEventSynchronize(CUevent event) { (void)event; return 0; }
#undef cuEventElapsedTime
CUresult CUDAAPI cuEventElapsedTime(float *ms, CUevent begin, CUevent end) {
  (void)begin;
  (void)end;
  *ms = 2.5f;
  return 0;
}
CUresult CUDAAPI cuLinkCreate_v2(unsigned n, CUjit_option *options, void **values,
                                 CUlinkState *state) {
  for (unsigned i = 0; i < n; i++) {
    if (options[i] == 5) strcpy(values[i], "");
  }
  *state = (CUlinkState)0x1234;
  return 0;
}
CUresult CUDAAPI cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void *data, size_t size,
                                  const char *name, unsigned n, CUjit_option *options,
                                  void **values) {
  (void)n;
  (void)options;
  (void)values;
  const char *text = data;
  return state == (CUlinkState)0x1234 && type == 1 && text[size - 1] == 0 &&
                 strstr(text, ".visible .entry") && strstr(name, ".ptx")
             ? 0
             : 218;
}
CUresult CUDAAPI cuLinkComplete(CUlinkState state, void **image, size_t *size) {
  (void)state;
  *image = code;
  *size = sizeof code;
  return 0;
}
CUresult CUDAAPI cuLinkDestroy(CUlinkState state) { (void)state; return 0; }
CUresult CUDAAPI cuModuleLoadData(CUmodule *module, const void *image) {
  *module = (CUmodule)0x55;
  return strcmp(image, code) == 0 ? 0 : 200;
}
CUresult CUDAAPI cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int count,
                                    CUjit_option *options, void **values) {
  (void)count; (void)options; (void)values;
  *module = (CUmodule)0x55;
  return strstr(image, ".visible .entry") ? 0 : 218;
}
CUresult CUDAAPI cuModuleUnload(CUmodule module) { (void)module; return 0; }
CUresult CUDAAPI cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  (void)module;
  *function = (CUfunction)0x66;
  return strcmp(name, "fake_copy") == 0 ? 0 : 500;
}
CUresult CUDAAPI cuFuncGetAttribute(int *value, CUfunction_attribute id, CUfunction function) {
  (void)function;
  *value = id == 4 ? 42 : 0;
  return 0;
}
CUresult CUDAAPI cuFuncSetAttribute(CUfunction function, CUfunction_attribute id, int value) {
  (void)function;
  (void)id;
  (void)value;
  return 0;
}
/* Writes down what it was given. */
CUresult CUDAAPI cuTensorMapEncodeTiled(
    CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *address,
    const cuuint64_t *dims, const cuuint64_t *strides, const cuuint32_t *box,
    const cuuint32_t *elementStrides, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
    CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill) {
  if ((uintptr_t)map % 64 || rank != 3) return 1;
  cuuint64_t values[16] = {type,     (uintptr_t)address, dims[0],           dims[1],
                           dims[2],  strides[0],         strides[1],        box[0],
                           box[1],   box[2],             elementStrides[0], elementStrides[2],
                           interleave, swizzle,          promotion,         fill};
  memcpy(map, values, sizeof values);
  return 0;
}
CUresult CUDAAPI cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **params,
                                  void **extra) {
  if (function != (CUfunction)0x66 || params || extra[0] != (void *)1 || extra[2] != (void *)2 ||
      extra[4] || *(size_t *)extra[3] != 20 || config->hStream != (CUstream)0x7ffe00001000)
    return 1;
  struct {
    uint32_t *from, *to;
    uint32_t words;
  } copy;
  memcpy(&copy, extra[1], 20);
  unsigned threads = config->gridDimX * config->blockDimX;
  for (unsigned i = 0; i < copy.words && i < threads; i++) copy.to[i] = copy.from[i];
  return 0;
}
CUresult CUDAAPI cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
  (void)stream;
  return mode == 2 ? 0 : 1;
}
CUresult CUDAAPI cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  (void)stream;
  *graph = (CUgraph)0x77;
  return 0;
}
#undef cuGraphInstantiateWithFlags
CUresult CUDAAPI cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph,
                                             unsigned long long flags) {
  *exec = (CUgraphExec)0x88;
  return graph == (CUgraph)0x77 && flags == 0 ? 0 : 1;
}
CUresult CUDAAPI cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  return exec == (CUgraphExec)0x88 && stream ? 0 : 1;
}
CUresult CUDAAPI cuGraphDestroy(CUgraph graph) { (void)graph; return 0; }
CUresult CUDAAPI cuGraphExecDestroy(CUgraphExec exec) { (void)exec; return 0; }
