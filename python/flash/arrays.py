# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays of other libraries, by numpy or DLPack, and arrays of our own on a GPU.

DLPack is read by its C structures: no library has to be imported for it.
"""

import ctypes
import sys
from ctypes import POINTER, c_int32, c_int64, c_uint8, c_uint16, c_uint64, c_void_p, py_object
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from . import dtypes
from .driver import Memory, device
from .errors import ArgumentError

CPU, CUDA, CUDA_HOST, CUDA_MANAGED = 1, 2, 3, 13


class _DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", c_void_p),
        ("device_type", c_int32),
        ("device_id", c_int32),
        ("ndim", c_int32),
        ("code", c_uint8),
        ("bits", c_uint8),
        ("lanes", c_uint16),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("byte_offset", c_uint64),
    ]


class _DLManagedTensor(ctypes.Structure):
    pass


_Deleter = ctypes.CFUNCTYPE(None, POINTER(_DLManagedTensor))
_DLManagedTensor._fields_ = [
    ("tensor", _DLTensor),
    ("context", c_void_p),
    ("deleter", _Deleter),
]

_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.argtypes, _capsule_pointer.restype = [py_object, ctypes.c_char_p], c_void_p


@dataclass
class View:
    """Where an array is and how it lies; strides in elements."""

    origin: Any
    shape: tuple
    strides: tuple
    address: int = 0
    """Of the first element, on the device; 0 for host arrays."""
    ordinal: Optional[int] = None
    """The device's number; None for host arrays."""
    host: Optional[np.ndarray] = None
    """The bits of a host array, not copied."""
    keep: Any = None

    @property
    def on_host(self):
        return self.host is not None


def view(array, role, dtype):
    """Sees `array` as elements of the manifest's `dtype`; `role` names it in errors."""

    def refuse(got):
        raise ArgumentError(f"{role}: expected elements of {dtypes.expected(dtype)}, got {got}")

    if isinstance(array, np.ndarray):
        if not dtypes.accepts_numpy(dtype, array.dtype):
            refuse(array.dtype.name)
        return _host_view(array, array.view(dtypes.storage(dtype)))
    if not hasattr(array, "__dlpack__") or not hasattr(array, "__dlpack_device__"):
        raise ArgumentError(
            f"{role}: expected an array of numpy, torch, cupy or another library with DLPack, "
            f"got {type(array).__name__}"
        )
    exported = array.detach() if getattr(array, "requires_grad", False) else array
    kind, ordinal = (int(part) for part in exported.__dlpack_device__())
    if kind not in (CPU, CUDA, CUDA_HOST, CUDA_MANAGED):
        raise ArgumentError(
            f"{role}: expected an array on the CPU or a CUDA device, got DLPack device {kind}"
        )
    on_device = kind in (CUDA, CUDA_MANAGED)
    # -1: the launch itself is put on the right stream, nothing has to wait.
    try:
        capsule = exported.__dlpack__(stream=-1) if on_device else exported.__dlpack__()
    except BufferError as error:
        # A type that this version of the library cannot export.
        raise ArgumentError(
            f"{role}: expected elements of {dtypes.expected(dtype)}, which the array's library "
            f"exports or whose bits are passed as an unsigned type, got: {error}"
        ) from None
    tensor = ctypes.cast(
        _capsule_pointer(capsule, b"dltensor"), POINTER(_DLManagedTensor)
    ).contents.tensor
    if tensor.lanes != 1 or not dtypes.accepts_dlpack(dtype, tensor.code, tensor.bits):
        refuse(getattr(array, "dtype", f"DLPack type {tensor.code} of {tensor.bits} bits"))
    shape = tuple(tensor.shape[: tensor.ndim])
    strides = tuple(tensor.strides[: tensor.ndim]) if tensor.strides else _dense(shape)
    address = (tensor.data or 0) + tensor.byte_offset
    if on_device:
        return View(array, shape, strides, address, ordinal, keep=capsule)
    return _host_view(array, _host_array(address, shape, strides, dtype), keep=capsule)


def _dense(shape):
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


def _host_view(origin, bits, keep=None):
    width = bits.dtype.itemsize
    strides = tuple(stride // width for stride in bits.strides)
    return View(origin, bits.shape, strides, host=bits, keep=keep)


def _host_array(address, shape, strides, dtype):
    """A numpy array over memory of another library."""
    kind = dtypes.storage(dtype)
    if 0 in shape:
        return np.empty(shape, kind)
    last = sum((extent - 1) * stride for extent, stride in zip(shape, strides))
    memory = (ctypes.c_byte * ((last + 1) * kind.itemsize)).from_address(address)
    flat = np.frombuffer(memory, dtype=kind)
    return np.lib.stride_tricks.as_strided(
        flat, shape, tuple(stride * kind.itemsize for stride in strides)
    )


def current_stream(views):
    """The stream that the library of the first device array works on, as a handle."""
    for item in views:
        if item.ordinal is None:
            continue
        module = type(item.origin).__module__.partition(".")[0]
        if module == "torch":
            return sys.modules["torch"].cuda.current_stream(item.ordinal).cuda_stream
        if module == "cupy":
            return sys.modules["cupy"].cuda.get_current_stream().ptr
        return 0
    return 0


def empty_like(like, shape, dtype, like_dtype):
    """An array of the library and on the device of the view `like`.

    It has the manifest's `dtype`; where that is `like_dtype`, the one of `like`,
    the very dtype of the array that was passed.
    """
    origin = like.origin
    module = type(origin).__module__.partition(".")[0]
    names = {"f16": "float16", "bf16": "bfloat16", "f32": "float32"}
    if module == "torch":
        torch = sys.modules["torch"]
        kind = origin.dtype if dtype == like_dtype else getattr(torch, names[dtype])
        return torch.empty(shape, dtype=kind, device=origin.device)
    if module == "cupy":
        kind = origin.dtype if dtype == like_dtype else dtypes.storage(dtype)
        return sys.modules["cupy"].empty(shape, dtype=kind)
    if like.on_host:
        same = dtype == like_dtype and isinstance(origin, np.ndarray)
        return np.empty(shape, origin.dtype if same else dtypes.storage(dtype))
    return DeviceArray(shape, dtype, like.ordinal)


class DeviceArray:
    """A dense array on a CUDA device, for programs without torch or cupy.

    Exports DLPack, so that other libraries can use it without a copy.
    """

    def __init__(self, shape, dtype, ordinal=0):
        """Memory that nobody has written; `dtype` as in manifests: "bf16", "f32", ..."""
        self.shape = tuple(int(extent) for extent in shape)
        self.dtype = dtype
        self.ordinal = ordinal
        count = int(np.prod(self.shape, dtype=np.int64))
        self.nbytes = count * dtypes.width(dtype)
        self.memory = Memory(device(ordinal), self.nbytes)

    @classmethod
    def from_numpy(cls, array, dtype, ordinal=0):
        """A copy of a numpy array, whose dtype must be one that `dtype` takes."""
        bits = view(array, "array", dtype).host
        made = cls(bits.shape, dtype, ordinal)
        made.memory.write(np.ascontiguousarray(bits))
        return made

    def numpy(self):
        """A copy on the host: the bits as uint16 or uint8 where numpy lacks the type."""
        bits = np.empty(self.shape, dtypes.storage(self.dtype))
        self.memory.read(bits)
        return bits

    def __repr__(self):
        return f"DeviceArray(shape={self.shape}, dtype='{self.dtype}', device={self.ordinal})"

    def __dlpack_device__(self):
        return CUDA, self.ordinal

    def __dlpack__(self, stream=None):
        code, bits = dtypes._TYPES[self.dtype][3][0]
        rank = len(self.shape)
        managed = _DLManagedTensor()
        shape = (c_int64 * rank)(*self.shape)
        strides = (c_int64 * rank)(*_dense(self.shape))
        managed.tensor = _DLTensor(
            self.memory.address, CUDA, self.ordinal, rank, code, bits, 1, shape, strides, 0
        )
        managed.deleter = _release
        address = ctypes.addressof(managed)
        _exported[address] = (managed, shape, strides, self)
        return _capsule_new(address, b"dltensor", _destroy_capsule)


# What is exported and not yet released, by the address of its structure.
_exported = {}


@_Deleter
def _release(managed):
    _exported.pop(ctypes.addressof(managed.contents), None)


_Destructor = ctypes.PYFUNCTYPE(None, c_void_p)
_capsule_new = ctypes.pythonapi.PyCapsule_New
_capsule_new.argtypes, _capsule_new.restype = [c_void_p, ctypes.c_char_p, _Destructor], py_object
_raw_pointer = ctypes.PYFUNCTYPE(c_void_p, c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_raw_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, c_void_p, ctypes.c_char_p)(
    ("PyCapsule_IsValid", ctypes.pythonapi)
)


@_Destructor
def _destroy_capsule(capsule):
    # A consumer renames the capsule and calls the deleter itself.
    if _raw_is_valid(capsule, b"dltensor"):
        _exported.pop(_raw_pointer(capsule, b"dltensor"), None)
