# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What this package raises."""


class FlashError(Exception):
    """The base of all of them."""


class PackageError(FlashError):
    """A package cannot be read or is malformed."""


class ArgumentError(FlashError, ValueError):
    """A kernel was called with what it cannot take: role, expected, got."""


class CudaError(FlashError, RuntimeError):
    """The CUDA driver is missing or refused a call.

    `code` is the driver's number, or None where there is no driver.
    """

    def __init__(self, message, code=None):
        super().__init__(message)
        self.code = code
