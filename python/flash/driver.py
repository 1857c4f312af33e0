# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The CUDA driver, as much of it as launching takes, through ctypes.

Nothing is opened before the first use. Names, types and numbers are those of
the CUDA Driver API Reference; include/flash/Runtime/CudaDriver.h is the same
list for C++.
"""

import ctypes
import functools
import os
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_size_t, c_uint, c_uint64, c_void_p

from .errors import CudaError

USUAL = ("libcuda.so.1", "libcuda.so", "/usr/lib/wsl/lib/libcuda.so.1")

INVALID_IMAGE = 200
NO_BINARY_FOR_GPU = 209

L2_CACHE_SIZE = 38
COMPUTE_CAPABILITY_MAJOR = 75
COMPUTE_CAPABILITY_MINOR = 76
MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97
MAX_DYNAMIC_SHARED_SIZE_BYTES = 8
JIT_ERROR_LOG_BUFFER = 5
JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6
LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION = 4


class LaunchAttribute(ctypes.Structure):
    _fields_ = [("id", c_int), ("padding", c_int), ("value", c_uint * 16)]


class LaunchConfig(ctypes.Structure):
    _fields_ = [
        ("grid", c_uint * 3),
        ("block", c_uint * 3),
        ("shared", c_uint),
        ("stream", c_void_p),
        ("attributes", POINTER(LaunchAttribute)),
        ("count", c_uint),
    ]


_FUNCTIONS = {
    "cuInit": [c_uint],
    "cuGetErrorName": [c_int, POINTER(c_char_p)],
    "cuGetErrorString": [c_int, POINTER(c_char_p)],
    "cuDeviceGetCount": [POINTER(c_int)],
    "cuDeviceGet": [POINTER(c_int), c_int],
    "cuDeviceGetName": [c_char_p, c_int, c_int],
    "cuDeviceGetAttribute": [POINTER(c_int), c_int, c_int],
    "cuDevicePrimaryCtxRetain": [POINTER(c_void_p), c_int],
    "cuCtxGetCurrent": [POINTER(c_void_p)],
    "cuCtxSetCurrent": [c_void_p],
    "cuCtxSynchronize": [],
    "cuModuleLoadDataEx": [POINTER(c_void_p), c_char_p, c_uint, POINTER(c_int), POINTER(c_void_p)],
    "cuModuleGetFunction": [POINTER(c_void_p), c_void_p, c_char_p],
    "cuModuleUnload": [c_void_p],
    "cuFuncSetAttribute": [c_void_p, c_int, c_int],
    "cuMemAlloc_v2": [POINTER(c_uint64), c_size_t],
    "cuMemFree_v2": [c_uint64],
    "cuMemGetInfo_v2": [POINTER(c_size_t), POINTER(c_size_t)],
    "cuMemcpyHtoD_v2": [c_uint64, c_void_p, c_size_t],
    "cuMemcpyDtoH_v2": [c_void_p, c_uint64, c_size_t],
    "cuMemsetD8_v2": [c_uint64, ctypes.c_ubyte, c_size_t],
    "cuStreamSynchronize": [c_void_p],
    "cuLaunchKernel": [c_void_p] + [c_uint] * 7 + [c_void_p, c_void_p, POINTER(c_void_p)],
    "cuEventCreate": [POINTER(c_void_p), c_uint],
    "cuEventDestroy_v2": [c_void_p],
    "cuEventRecord": [c_void_p, c_void_p],
    "cuEventSynchronize": [c_void_p],
    "cuEventElapsedTime": [POINTER(c_float), c_void_p, c_void_p],
}
# Entry points that an older driver may lack.
_OPTIONAL = {
    "cuLaunchKernelEx": [POINTER(LaunchConfig), c_void_p, c_void_p, POINTER(c_void_p)],
    "flashEmulatedDriver": [],
    "cuDeviceGetPCIBusId": [c_char_p, c_int, c_int],
}


def _open_library():
    path = os.environ.get("FLASH_CUDA_DRIVER")
    if path:
        try:
            return ctypes.CDLL(path)
        except OSError as error:
            raise CudaError(
                f"CUDA driver: cannot open the one that FLASH_CUDA_DRIVER names: {error}"
            ) from None
    for name in USUAL:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise CudaError(
        "CUDA driver: expected one, found none: looked for FLASH_CUDA_DRIVER (not set), then "
        "libcuda.so.1 and libcuda.so where the loader searches (LD_LIBRARY_PATH, "
        "/etc/ld.so.cache, /lib, /usr/lib), then /usr/lib/wsl/lib/libcuda.so.1"
    )


class Driver:
    """The opened library; `driver.call("cuMemFree_v2", address)` raises CudaError."""

    def __init__(self):
        library = _open_library()
        self._functions = {}
        for name, argtypes in {**_FUNCTIONS, **_OPTIONAL}.items():
            function = getattr(library, name, None)
            if function is None and name in _FUNCTIONS:
                raise CudaError(
                    f"CUDA driver: expected the entry point {name}, got a library without it"
                )
            if function is not None:
                function.argtypes = argtypes
                function.restype = c_int
                self._functions[name] = function
        self.call("cuInit", 0)

    def has(self, name):
        return name in self._functions

    @property
    def is_emulated(self):
        """Whether this is Flash's emulated driver and not a GPU's."""
        return self.has("flashEmulatedDriver")

    def call(self, name, *arguments):
        code = self._functions[name](*arguments)
        if code != 0:
            raise self.error(name, code)

    def error(self, name, code):
        texts = []
        for function in ("cuGetErrorName", "cuGetErrorString"):
            text = c_char_p()
            self._functions[function](code, byref(text))
            texts.append((text.value or b"").decode())
        shown = f"{texts[0]} ({texts[1]})" if texts[0] else f"error {code}"
        return CudaError(f"{name.partition('_')[0]}: {shown}", code)


@functools.lru_cache(maxsize=None)
def driver():
    """The driver, opened at the first call."""
    return Driver()


class Device:
    """One device, by its primary context, which every library shares."""

    def __init__(self, ordinal):
        self.driver = driver()
        self.ordinal = ordinal
        handle = c_int()
        self.driver.call("cuDeviceGet", byref(handle), ordinal)
        self.handle = handle.value
        context = c_void_p()
        self.driver.call("cuDevicePrimaryCtxRetain", byref(context), self.handle)
        self.context = context
        name = ctypes.create_string_buffer(256)
        self.driver.call("cuDeviceGetName", name, len(name), self.handle)
        self.name = name.value.decode()
        self.capability = 10 * self.attribute(COMPUTE_CAPABILITY_MAJOR) + self.attribute(
            COMPUTE_CAPABILITY_MINOR
        )
        self.shared_limit = self.attribute(MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)

    @property
    def is_emulated(self):
        return self.driver.is_emulated

    def attribute(self, attribute):
        value = c_int()
        self.driver.call("cuDeviceGetAttribute", byref(value), attribute, self.handle)
        return value.value

    def current(self):
        """A context manager in which this device's context is the current one."""
        return _Current(self)

    def synchronize(self):
        with self.current():
            self.driver.call("cuCtxSynchronize")

    def free_memory(self):
        free, total = c_size_t(), c_size_t()
        with self.current():
            self.driver.call("cuMemGetInfo_v2", byref(free), byref(total))
        return free.value


@functools.lru_cache(maxsize=None)
def device(ordinal=0):
    """The device of that number, opened at the first call."""
    return Device(ordinal)


class _Current:
    def __init__(self, of):
        self.device = of
        self.before = c_void_p()

    def __enter__(self):
        call = self.device.driver.call
        call("cuCtxGetCurrent", byref(self.before))
        self.changed = self.before.value != self.device.context.value
        if self.changed:
            call("cuCtxSetCurrent", self.device.context)

    def __exit__(self, *ignored):
        if self.changed:
            self.device.driver.call("cuCtxSetCurrent", self.before)


class Memory:
    """Device memory, freed with the object."""

    def __init__(self, on, size):
        self.device = on
        self.size = size
        self.address = 0
        address = c_uint64()
        try:
            with on.current():
                # The driver refuses empty allocations.
                on.driver.call("cuMemAlloc_v2", byref(address), max(size, 1))
        except CudaError as error:
            raise CudaError(f"{error}: {size} bytes", error.code) from None
        self.address = address.value

    def __del__(self):
        if self.address:
            with self.device.current():
                self.device.driver.call("cuMemFree_v2", self.address)
            self.address = 0

    def write(self, source):
        """Copies a contiguous numpy array to the start of the memory."""
        with self.device.current():
            self.device.driver.call(
                "cuMemcpyHtoD_v2", self.address, source.ctypes.data, source.nbytes
            )

    def read(self, target):
        """Copies from the start of the memory into a contiguous numpy array."""
        with self.device.current():
            self.device.driver.call(
                "cuMemcpyDtoH_v2", target.ctypes.data, self.address, target.nbytes
            )


class Event:
    """A point on a stream; two of them time what lies between."""

    def __init__(self, on):
        self.device = on
        self.handle = c_void_p()
        with on.current():
            on.driver.call("cuEventCreate", byref(self.handle), 0)

    def __del__(self):
        if self.handle:
            with self.device.current():
                self.device.driver.call("cuEventDestroy_v2", self.handle)

    def record(self, stream=0):
        with self.device.current():
            self.device.driver.call("cuEventRecord", self.handle, stream)

    def synchronize(self):
        with self.device.current():
            self.device.driver.call("cuEventSynchronize", self.handle)

    def milliseconds_since(self, start):
        elapsed = c_float()
        with self.device.current():
            self.device.driver.call("cuEventElapsedTime", byref(elapsed), start.handle, self.handle)
        return elapsed.value


def runs_as_ptx(chip, capability):
    """Whether PTX for `chip` ("sm_80", "sm_90a") runs on that capability (90 is 9.0).

    Code for an architecture's own features ("a") runs on exactly that one.
    """
    number, exact = parse_chip(chip)
    return number == capability if exact else 0 < number <= capability


def runs_as_cubin(chip, capability):
    """Machine code needs the same major and no lower minor capability."""
    number, exact = parse_chip(chip)
    if exact:
        return number == capability
    return number // 10 == capability // 10 and number <= capability


def parse_chip(chip):
    """(90, True) of "sm_90a"; (0, False) of what is no chip."""
    digits = chip[3:].rstrip("abcdefghijklmnopqrstuvwxyz") if chip.startswith("sm_") else ""
    return (int(digits), digits != chip[3:]) if digits.isdigit() else (0, False)


class Module:
    """Loaded kernels of one package on one device."""

    def __init__(self, on, manifest, ptx, cubin):
        self.device = on
        self.handle = c_void_p()
        number, exact = parse_chip(manifest.chip)
        if not runs_as_ptx(manifest.chip, on.capability):
            raise CudaError(
                f"compute capability: expected {number // 10}.{number % 10} "
                f"{'exactly' if exact else 'or higher'}, as the package is for {manifest.chip}, "
                f"got {on.capability // 10}.{on.capability % 10} ({on.name})"
            )
        for launch in manifest.launches:
            if launch.dynamic_shared_bytes > on.shared_limit:
                raise CudaError(
                    f"shared memory: kernel '{launch.entry}' takes {launch.dynamic_shared_bytes} "
                    f"bytes per CTA, got a device with {on.shared_limit} ({on.name})"
                )
        with on.current():
            self.source = self._load(manifest, ptx, cubin)
            self.functions = [self._function(launch) for launch in manifest.launches]

    def _load(self, manifest, ptx, cubin):
        call = self.device.driver.call
        if cubin and runs_as_cubin(manifest.chip, self.device.capability):
            try:
                call("cuModuleLoadDataEx", byref(self.handle), cubin, 0, None, None)
                return "cubin"
            except CudaError as error:
                # The PTX may do all the same; anything else is final.
                if error.code not in (INVALID_IMAGE, NO_BINARY_FOR_GPU):
                    raise
        log = ctypes.create_string_buffer(8192)
        options = (c_int * 2)(JIT_ERROR_LOG_BUFFER, JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
        values = (c_void_p * 2)(ctypes.addressof(log), len(log))
        try:
            call("cuModuleLoadDataEx", byref(self.handle), ptx, 2, options, values)
        except CudaError as error:
            text = log.value.decode(errors="replace").strip()
            raise CudaError(f"{error}: {text}" if text else str(error), error.code) from None
        return "PTX"

    def _function(self, launch):
        call = self.device.driver.call
        function = c_void_p()
        try:
            call("cuModuleGetFunction", byref(function), self.handle, launch.entry.encode())
            call(
                "cuFuncSetAttribute",
                function,
                MAX_DYNAMIC_SHARED_SIZE_BYTES,
                launch.dynamic_shared_bytes,
            )
        except CudaError as error:
            raise CudaError(f"kernel '{launch.entry}': {error}", error.code) from None
        return function

    def __del__(self):
        if self.handle:
            with self.device.current():
                self.device.driver.call("cuModuleUnload", self.handle)


class PreparedLaunch:
    """A kernel with its arguments, ready to be started any number of times."""

    def __init__(self, on, function, shape, parameters):
        self.driver = on.driver
        self.function = function
        self.shape = shape
        self.parameters = ctypes.create_string_buffer(bytes(parameters), len(parameters))
        self.size = c_size_t(len(parameters))
        # CU_LAUNCH_PARAM_BUFFER_POINTER, ..._SIZE, ..._END.
        self.extra = (c_void_p * 5)(
            1, ctypes.addressof(self.parameters), 2, ctypes.addressof(self.size), 0
        )

    def start(self, stream):
        """Needs the device's context to be current."""
        shape = self.shape
        if shape.cluster == (1, 1, 1):
            self.driver.call(
                "cuLaunchKernel",
                self.function,
                *shape.grid,
                *shape.block,
                shape.dynamic_shared_bytes,
                stream,
                None,
                self.extra,
            )
            return
        if not self.driver.has("cuLaunchKernelEx"):
            raise CudaError(
                "CUDA driver: expected the entry point cuLaunchKernelEx for a kernel with "
                "clusters, got a library without it"
            )
        attribute = LaunchAttribute(id=LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
        attribute.value[0:3] = shape.cluster
        config = LaunchConfig(
            (c_uint * 3)(*shape.grid),
            (c_uint * 3)(*shape.block),
            shape.dynamic_shared_bytes,
            stream,
            ctypes.pointer(attribute),
            1,
        )
        self.driver.call("cuLaunchKernelEx", byref(config), self.function, None, self.extra)
