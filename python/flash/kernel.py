# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loading a package and calling it on arrays."""

import os
import struct

import numpy as np

from . import arrays, dtypes
from .driver import Memory, Module, PreparedLaunch, device
from .errors import ArgumentError, PackageError
from .expression import evaluate
from .manifest import launch_shape, parse

_OPERANDS = {"query": "q", "key": "k", "value": "v", "output": "out", "lse": "lse"}
# What heads of 8-bit operands are multiplied by; 1 where a call gives none.
_DESCALES = {"q_descale": ("b", "hq"), "k_descale": ("b", "hkv"), "v_descale": ("b", "hkv")}
_FORMATS = {"pointer": "Q", "i32": "i", "i64": "q", "f32": "f"}
_I32_MAX = (1 << 31) - 1


def load(path):
    """Reads a package by its directory or its manifest; opens no driver yet."""
    path = os.fspath(path)
    where = os.path.join(path, "manifest.json") if os.path.isdir(path) else path
    directory = os.path.dirname(where)

    def read(name):
        try:
            with open(name, "rb") as file:
                return file.read()
        except OSError as error:
            raise PackageError(f"cannot read '{name}': {error.strerror}") from None

    try:
        manifest = parse(read(where).decode("utf-8", errors="replace"))
    except PackageError as error:
        raise PackageError(
            str(error) if "'" + where in str(error) else f"'{where}': {error}"
        ) from None
    ptx_name = manifest.files.get("ptx", os.path.splitext(os.path.basename(where))[0] + ".ptx")
    ptx = read(os.path.join(directory, ptx_name))
    cubin = manifest.files.get("cubin")
    return Kernel(manifest, ptx, read(os.path.join(directory, cubin)) if cubin else b"", path)


class Kernel:
    """The attention of one package, as a function on arrays."""

    def __init__(self, manifest, ptx, cubin, path):
        self.manifest = manifest
        self.path = path
        self._ptx = ptx
        self._cubin = cubin
        self._modules = {}
        self._workspaces = {}
        operands = {p.role: p for p in manifest.parameters if p.role in _OPERANDS}
        for role in ("query", "key", "value", "output"):
            if role not in operands:
                raise PackageError(f"'{path}': expected a parameter of role {role}, got none")
        self._operands = operands
        # Whatever else the kernel takes is passed by name: captures, and what each
        # head of 8-bit operands is multiplied by.
        self.extra = [
            p
            for p in manifest.parameters
            if p.role not in _OPERANDS
            and p.role not in ("workspace", "size", "stride", "extent", "scale")
        ]

    def __repr__(self):
        return f"Kernel('{self.path}', {self.manifest.chip}, '{self.manifest.attention}')"

    @property
    def computes_lse(self):
        return "lse" in self._operands

    @property
    def extra_parameters(self):
        """Names of what a call takes by keyword beside the operands."""
        return [parameter.name for parameter in self.extra]

    def __call__(self, q, k, v, out=None, lse=None, *, scale=None, stream=None, **extra):
        """Computes attention; returns `out`, or (out, lse) if the kernel computes lse.

        Arrays are [batch, heads, sequence, head dim] with any strides the kernel
        takes. Arrays on a device are used in place, on the current stream of
        their library or on `stream`, a handle, and the call returns at once.
        Host arrays are copied there and back, and the call waits. `scale`
        replaces what the kernel was compiled with. Captures are keywords, and so
        are q_descale, k_descale and v_descale (float32, [batch, heads]), what
        the heads of 8-bit operands are multiplied by (1 unless given).
        """
        call = self.prepare(q, k, v, out, lse, scale=scale, stream=stream, **extra)
        call.start()
        call.finish()
        return (call.out, call.lse) if self.computes_lse else call.out

    def prepare(self, q, k, v, out=None, lse=None, *, scale=None, stream=None, **extra):
        """Checks and lays out the arguments; the result's start() launches."""
        given = {"query": q, "key": k, "value": v}
        if lse is not None and not self.computes_lse:
            raise ArgumentError("lse: expected none, as the kernel computes none, got an array")
        views = {
            self._operands[role].name: arrays.view(array, role, self._operands[role].dtype)
            for role, array in given.items()
        }
        sizes = self._sizes(views)
        results = {"output": out, "lse": lse} if self.computes_lse else {"output": out}
        query = self._operands["query"]
        for role, array in results.items():
            parameter = self._operands[role]
            if array is None:
                shape = [sizes["b"], sizes["hq"], sizes["sq"], sizes["dv"]][: parameter.rank]
                array = results[role] = arrays.empty_like(
                    views[query.name], shape, parameter.dtype, query.dtype
                )
            views[parameter.name] = arrays.view(array, role, parameter.dtype)
            if views[parameter.name].on_host and not views[parameter.name].host.flags.writeable:
                raise ArgumentError(f"{role}: expected an array to write to, got a read-only one")
        scalars = self._extra_arguments(extra, views, sizes)
        self._check(views, sizes)
        return _Call(self, views, sizes, scalars, self._scale(scale), stream, results)

    def _scale(self, scale):
        for parameter in self.manifest.parameters:
            if parameter.role == "scale":
                scale = parameter.value if scale is None else float(scale)
                if parameter.positive and not scale > 0:
                    raise ArgumentError(
                        "scale: expected a positive number, which is folded into the kernel's "
                        f"exponent, got {scale}"
                    )
        return scale

    def _sizes(self, views):
        """The problem's sizes, from the query, the key and the value."""
        for role in ("query", "key", "value"):
            parameter = self._operands[role]
            rank = len(views[parameter.name].shape)
            if rank != parameter.rank:
                raise ArgumentError(
                    f"{role}: expected rank {parameter.rank} (batch, heads, sequence, head dim), "
                    f"got {rank}"
                )
        q, k, v = (views[self._operands[role].name].shape for role in ("query", "key", "value"))
        sizes = {"b": q[0], "hq": q[1], "sq": q[2], "d": q[3], "hkv": k[1], "sk": k[2], "dv": v[3]}
        for name, size in sizes.items():
            if not 1 <= size <= _I32_MAX:
                raise ArgumentError(f"size {name}: expected 1 to {_I32_MAX}, got {size}")
        spec = self.manifest.spec
        if spec:
            for name, size in spec.sizes.items():
                if size is not None and size != sizes[name]:
                    raise ArgumentError(
                        f"size {name}: expected {size}, for which the kernel was compiled, "
                        f"got {sizes[name]}"
                    )
        group = spec.group if spec else sizes["hq"] // sizes["hkv"]
        if sizes["hkv"] * group != sizes["hq"]:
            raise ArgumentError(
                f"size hq: expected {group} times hkv = {sizes['hkv']}, got {sizes['hq']}"
                if spec
                else f"size hq: expected a multiple of hkv = {sizes['hkv']}, got {sizes['hq']}"
            )
        return sizes

    def _extra_arguments(self, extra, views, sizes):
        """Adds captured arrays to `views`; returns captured scalars."""
        scalars = {}
        unknown = set(extra) - set(self.extra_parameters)
        if unknown:
            known = ", ".join(self.extra_parameters) or "none"
            raise ArgumentError(
                f"'{sorted(unknown)[0]}': expected a capture of the kernel ({known}), got another"
            )
        for parameter in self.extra:
            if extra.get(parameter.name) is None and parameter.role in _DESCALES:
                shape = [sizes[name] for name in _DESCALES[parameter.role]]
                extra[parameter.name] = np.ones(shape, dtypes.storage(parameter.dtype))
            if extra.get(parameter.name) is None:
                raise ArgumentError(f"'{parameter.name}': expected one, as a keyword, got none")
            if parameter.kind == "pointer":
                views[parameter.name] = arrays.view(
                    extra[parameter.name], parameter.name, parameter.dtype
                )
            elif parameter.kind == "f32":
                scalars[parameter.name] = float(extra[parameter.name])
            else:
                scalars[parameter.name] = int(extra[parameter.name])
        return scalars

    def _check(self, views, sizes):
        """Shapes, strides and alignment."""
        extents = {
            "query": ("b", "hq", "sq", "d"),
            "key": ("b", "hkv", "sk", "d"),
            "value": ("b", "hkv", "sk", "dv"),
            "output": ("b", "hq", "sq", "dv"),
            "lse": ("b", "hq", "sq"),
            **_DESCALES,
        }
        ordinals = {}
        for name, view in views.items():
            parameter = self.manifest.by_name[name]
            label = parameter.role if parameter.role in _OPERANDS else name
            wanted = parameter.shape or extents.get(parameter.role)
            if wanted is not None:
                wanted = tuple("?" if e == "?" else evaluate(e, sizes) for e in wanted)
                if len(wanted) != len(view.shape) or any(
                    w not in ("?", s) for w, s in zip(wanted, view.shape)
                ):
                    raise ArgumentError(
                        f"{label}: expected shape ({', '.join(map(str, wanted))}), "
                        f"got ({', '.join(map(str, view.shape))})"
                    )
            elif len(view.shape) != parameter.rank:
                raise ArgumentError(
                    f"{label}: expected rank {parameter.rank}, got {len(view.shape)}"
                )
            if not view.on_host:
                ordinals.setdefault(view.ordinal, label)
                self._check_alignment(parameter, view, label)
        if len(ordinals) > 1:
            places = ", ".join(f"{label} on {number}" for number, label in ordinals.items())
            raise ArgumentError(f"devices: expected one, got {places}")

    @staticmethod
    def _check_alignment(parameter, view, label):
        width = dtypes.width(parameter.dtype)
        if view.address % parameter.align:
            raise ArgumentError(
                f"{label}: expected a base aligned to {parameter.align} bytes, "
                f"got address {view.address:#x}"
            )
        last = len(view.shape) - 1
        for dim, (extent, stride) in enumerate(zip(view.shape, view.strides)):
            if extent == 1:
                continue  # Never stepped along: its stride is noise.
            if dim == last and parameter.unit_inner_stride and stride != 1:
                raise ArgumentError(f"{label}: expected an innermost stride of 1, got {stride}")
            if dim != last and stride * width % parameter.row_align:
                raise ArgumentError(
                    f"{label}: expected the stride of dimension {dim} to be a multiple of "
                    f"{parameter.row_align} bytes, got {stride} elements"
                )

    def module(self, on):
        """The kernels as loaded on a device, at its first use."""
        if on.ordinal not in self._modules:
            self._modules[on.ordinal] = Module(on, self.manifest, self._ptx, self._cubin)
        return self._modules[on.ordinal]

    def workspace(self, on, stream, sizes):
        """Memory that the launches of one call share; kept per stream, so that calls on
        different streams do not write into each other's."""
        size = evaluate(self.manifest.workspace_bytes, sizes)
        key = (on.ordinal, stream)
        if key not in self._workspaces or self._workspaces[key].size < size:
            self._workspaces[key] = Memory(on, size)
        return self._workspaces[key]


class _Call:
    """One call with its arguments on the device."""

    def __init__(self, kernel, views, sizes, scalars, scale, stream, results):
        self.out = results["output"]
        self.lse = results.get("lse")
        self.sizes = sizes
        ordinal = next((v.ordinal for v in views.values() if not v.on_host), 0)
        self.device = device(ordinal)
        self.stream = arrays.current_stream(views.values()) if stream is None else int(stream)
        self._copied = {}
        self._views = views
        module = kernel.module(self.device)
        placed = {}
        for name, view in views.items():
            parameter = kernel.manifest.by_name[name]
            placed[name] = self._place(name, view, parameter.role in ("output", "lse"))
        if any(p.role == "workspace" for p in kernel.manifest.parameters):
            self._workspace = kernel.workspace(self.device, self.stream, sizes)
        self._launches = []
        for launch, function in zip(kernel.manifest.launches, module.functions):
            packed = bytearray()
            for name in launch.parameters:
                parameter = kernel.manifest.by_name[name]
                format_ = _FORMATS[parameter.kind]
                # Scalars of a parameter buffer lie at multiples of their size.
                packed.extend(bytes(-len(packed) % struct.calcsize(format_)))
                value = self._value(parameter, placed, sizes, scalars, scale)
                packed.extend(struct.pack("<" + format_, value))
            shape = launch_shape(launch, sizes)
            self._launches.append(PreparedLaunch(self.device, function, shape, packed))

    def _place(self, name, view, is_result):
        """(address, strides) on the device."""
        if not view.on_host:
            return view.address, view.strides
        memory = Memory(self.device, view.host.nbytes)
        if not is_result:
            memory.write(np.ascontiguousarray(view.host))
        self._copied[name] = (memory, view if is_result else None)
        return memory.address, arrays._dense(view.shape)

    def _value(self, parameter, placed, sizes, scalars, scale):
        if parameter.role == "workspace":
            return self._workspace.address
        if parameter.role == "size":
            return sizes[parameter.name]
        if parameter.role == "stride":
            return placed[parameter.of][1][parameter.dim]
        if parameter.role == "extent":
            return self._views[parameter.of].shape[parameter.dim]
        if parameter.role == "scale":
            return scale
        if parameter.kind == "pointer":
            return placed[parameter.name][0]
        return scalars[parameter.name]

    def start(self):
        """Puts the launches on the stream."""
        with self.device.current():
            for launch in self._launches:
                launch.start(self.stream)

    def finish(self):
        """Waits and copies results back, if there are host arrays; else does nothing."""
        if not self._copied:
            return
        with self.device.current():
            self.device.driver.call("cuStreamSynchronize", self.stream)
        for memory, view in self._copied.values():
            if view is None:
                continue
            bits = np.empty(view.shape, view.host.dtype)
            memory.read(bits)
            view.host[...] = bits
