// Compiled where CUDA's header is: CudaDriver.h says the same as cuda.h.

#include "flash/Runtime/CudaDriver.h"

#include <cuda.h>

#include <array>
#include <cstddef>

namespace ours = flash::runtime::cuda;

// Entry points: as many parameters, of the same sizes. Handles are pointers to
// something else here, so types cannot be compared.
template <typename Result, typename... Parameters>
constexpr std::array<size_t, sizeof...(Parameters) + 1>
sizes(Result (*)(Parameters...)) {
  return {sizeof(Result), sizeof(Parameters)...};
}
#define FUNCTION(member, symbol, parameters)                                   \
  static_assert(sizes(&symbol) == sizes(decltype(ours::Driver::member){}),     \
                #symbol);
FLASH_CUDA_DRIVER_FUNCTIONS(FUNCTION)
static_assert(sizes(&cuLaunchKernelEx) ==
              sizes(decltype(ours::Driver::launchKernelEx){}));
#undef FUNCTION

#define SAME(ours_, theirs) static_assert(int(ours::ours_) == int(theirs))
SAME(kSuccess, CUDA_SUCCESS);
SAME(kInvalidValue, CUDA_ERROR_INVALID_VALUE);
SAME(kOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY);
SAME(kNotInitialised, CUDA_ERROR_NOT_INITIALIZED);
SAME(kNoDevice, CUDA_ERROR_NO_DEVICE);
SAME(kInvalidDevice, CUDA_ERROR_INVALID_DEVICE);
SAME(kInvalidImage, CUDA_ERROR_INVALID_IMAGE);
SAME(kInvalidContext, CUDA_ERROR_INVALID_CONTEXT);
SAME(kNoBinaryForGpu, CUDA_ERROR_NO_BINARY_FOR_GPU);
SAME(kInvalidPtx, CUDA_ERROR_INVALID_PTX);
SAME(kInvalidHandle, CUDA_ERROR_INVALID_HANDLE);
SAME(kNotFound, CUDA_ERROR_NOT_FOUND);
SAME(kIllegalAddress, CUDA_ERROR_ILLEGAL_ADDRESS);
SAME(kLaunchOutOfResources, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
SAME(kLaunchTimeout, CUDA_ERROR_LAUNCH_TIMEOUT);
SAME(kMisalignedAddress, CUDA_ERROR_MISALIGNED_ADDRESS);
SAME(kLaunchFailed, CUDA_ERROR_LAUNCH_FAILED);
SAME(kNotSupported, CUDA_ERROR_NOT_SUPPORTED);
SAME(kMultiprocessorCount, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
SAME(kL2CacheSize, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
SAME(kComputeCapabilityMajor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
SAME(kComputeCapabilityMinor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
SAME(kMaxSharedMemoryPerBlockOptin,
     CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
SAME(kMaxDynamicSharedSizeBytes,
     CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
SAME(kJitErrorLogBuffer, CU_JIT_ERROR_LOG_BUFFER);
SAME(kJitErrorLogBufferBytes, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
SAME(kLaunchAttributeClusterDimension, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);

static_assert(sizeof(ours::LaunchAttribute) == sizeof(CUlaunchAttribute));
static_assert(offsetof(ours::LaunchAttribute, clusterDim) ==
              offsetof(CUlaunchAttribute, value));
static_assert(sizeof(ours::LaunchConfig) == sizeof(CUlaunchConfig));
static_assert(offsetof(ours::LaunchConfig, blockX) ==
              offsetof(CUlaunchConfig, blockDimX));
static_assert(offsetof(ours::LaunchConfig, sharedBytes) ==
              offsetof(CUlaunchConfig, sharedMemBytes));
static_assert(offsetof(ours::LaunchConfig, stream) ==
              offsetof(CUlaunchConfig, hStream));
static_assert(offsetof(ours::LaunchConfig, attributes) ==
              offsetof(CUlaunchConfig, attrs));
static_assert(offsetof(ours::LaunchConfig, numAttributes) ==
              offsetof(CUlaunchConfig, numAttrs));

int main() {
  bool same = ours::kLaunchEnd == CU_LAUNCH_PARAM_END &&
              ours::kLaunchBufferPointer == CU_LAUNCH_PARAM_BUFFER_POINTER &&
              ours::kLaunchBufferSize == CU_LAUNCH_PARAM_BUFFER_SIZE;
  return same ? 0 : 1;
}
