# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Launches attention kernels that Flash compiled.

    import flash
    kernel = flash.load("prefill")            # what flashc --emit=package wrote
    out = kernel(q, k, v)                     # numpy, torch or cupy arrays

Needs numpy and, at the first launch, a CUDA driver. It needs no compiler, no
LLVM and none of Flash's libraries. FLASH_CUDA_DRIVER names another driver:
with Flash's emulated one no GPU is needed.
"""

from .arrays import DeviceArray
from .errors import ArgumentError, CudaError, FlashError, PackageError
from .kernel import Kernel, load

__version__ = "0.1.0"
__all__ = [
    "ArgumentError",
    "CudaError",
    "DeviceArray",
    "FlashError",
    "Kernel",
    "PackageError",
    "load",
]
