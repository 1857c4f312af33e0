# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One attention at fixed sizes: its inputs, and whatever can compute it."""

from dataclasses import dataclass, field
from typing import Callable, Optional

import numpy as np

from .. import arrays, dtypes, reference
from ..driver import L2_CACHE_SIZE
from ..errors import FlashError

_MAX_SETS = 16
_DEFAULT_LENGTH = {False: 4096, True: 128}  # By whether the device is emulated.


class BenchError(FlashError):
    """A package that cannot be measured."""


@dataclass
class Contender:
    """Something that computes the problem, or a yardstick beside it."""

    name: str
    run: Callable[[int], None]
    """Starts the work on that set of inputs, on stream 0."""
    flops: float
    level: Optional[int] = None
    chip: Optional[str] = None
    path: Optional[str] = None
    check: Optional[dict] = None
    calls: list = field(default_factory=list)
    """Of a package: its prepared calls, one for each set of inputs."""


def choose_sizes(spec, given, emulated):
    """All sizes of a run: the SPEC's, those given for open ones, defaults."""
    sizes = dict(spec.sizes)
    for name, size in given.items():
        if name not in ("b", "hq", "hkv", "sq", "sk"):
            raise BenchError(f"--sizes: expected b, hq, hkv, sq or sk, got '{name}'")
        if sizes[name] is not None and sizes[name] != size:
            raise BenchError(f"--sizes: {name}: expected {sizes[name]}, as compiled, got {size}")
        sizes[name] = size
    if sizes["b"] is None:
        sizes["b"] = 1
    if sizes["hq"] is None:
        sizes["hq"] = sizes["hkv"] * spec.group if sizes["hkv"] else 8 * spec.group
    if sizes["hkv"] is None:
        sizes["hkv"] = sizes["hq"] // spec.group
    for name, other in (("sq", "sk"), ("sk", "sq")):
        if sizes[name] is None:
            sizes[name] = sizes[other] or _DEFAULT_LENGTH[emulated]
    return sizes


def describe(text, spec, sizes):
    """The SPEC, and the sizes that it leaves open."""
    chosen = [f"{name}={sizes[name]}" for name, size in spec.sizes.items() if size is None]
    return f"{text} at {','.join(chosen)}" if chosen else text


class Problem:
    """Inputs of one attention on a device, in sets that are larger than its L2 cache."""

    def __init__(self, spec, sizes, device, seed, torch, no_torch):
        """`torch` is the module or None, `no_torch` then says why."""
        self.no_torch = no_torch
        self.known = {}
        self.spec = spec
        self.sizes = sizes
        self.device = device
        self.torch = torch
        self.dtype = spec.dtype
        self.flops = reference.count_flops(spec, sizes)
        s = sizes
        self.shapes = [
            (s["b"], s["hq"], s["sq"], s["d"]),
            (s["b"], s["hkv"], s["sk"], s["d"]),
            (s["b"], s["hkv"], s["sk"], s["dv"]),
        ]
        nbytes = sum(int(np.prod(shape)) for shape in self.shapes) * dtypes.width(self.dtype)
        l2 = device.attribute(L2_CACHE_SIZE)
        count = 1 if device.is_emulated else min(_MAX_SETS, max(2, -(-2 * l2 // nbytes)))
        generator = np.random.default_rng(seed)
        self.sets, self.extra = [], []
        for i in range(count):
            values = [generator.standard_normal(shape, np.float32) for shape in self.shapes]
            # Heads of 8-bit operands fill their type's range.
            descales = [self._descale(part) for part in values] if spec.has_descales else []
            if descales:
                values = [x / scale[..., None, None] for x, scale in zip(values, descales)]
            bits = [dtypes.encode(part, self.dtype) for part in values]
            if i == 0:
                self.host, self.descales = bits, descales or None
            self.sets.append([self._to_device(part) for part in bits])
            self.extra.append(
                {
                    f"{name}_descale": arrays.DeviceArray.from_numpy(scale, "f32", device.ordinal)
                    for name, scale in zip("qkv", descales)
                }
            )

    def _descale(self, values):
        """What the numbers of each head are multiples of, as float32."""
        return (np.abs(values).max(axis=(2, 3)) / dtypes.largest(self.dtype)).astype(np.float32)

    def _to_device(self, bits):
        if not self.torch:
            return arrays.DeviceArray.from_numpy(bits, self.dtype, self.device.ordinal)
        signed = bits.view(f"i{bits.itemsize}")
        tensor = self.torch.from_numpy(signed).to(f"cuda:{self.device.ordinal}")
        return tensor.view(self._torch_dtype())

    def _torch_dtype(self):
        names = {
            "f16": "float16",
            "bf16": "bfloat16",
            "f32": "float32",
            "tf32": "float32",
            "e4m3": "uint8",
            "e5m2": "uint8",
        }
        return getattr(self.torch, names[self.dtype])

    # ===-- Packages ------------------------------------------------------===#

    def package(self, kernel, name):
        """A package as a contender; its first result stays in `out` and `lse`."""
        for parameter in kernel.extra:
            if parameter.role == "capture":
                raise BenchError(
                    f"'{kernel.path}': parameter '{parameter.name}': expected a kernel without "
                    "captures, whose values only the application knows"
                )
        calls = [
            kernel.prepare(*inputs, stream=0, **extra)
            for inputs, extra in zip(self.sets, self.extra)
        ]
        contender = Contender(
            name,
            lambda i: calls[i % len(calls)].start(),
            self.flops,
            level=kernel.manifest.level,
            chip=kernel.manifest.chip,
            path=str(kernel.path),
            calls=calls,
        )
        return contender

    def check(self, contender, heads):
        """Compares a package's result on the first set with the reference."""
        call = contender.calls[0]
        call.start()
        self.device.synchronize()
        out = self._to_host(call.out)
        lse = None if call.lse is None else self._to_host(call.lse)
        contender.check = reference.check(
            out,
            lse,
            *self.host,
            self.spec,
            self.sizes,
            self.spec.effective_scale,
            self.dtype,
            self.some_heads(heads),
            self.known,
            self.descales,
        )

    def _to_host(self, array):
        if isinstance(array, arrays.DeviceArray):
            return array.numpy()
        host = array.cpu()
        if host.dtype == self.torch.bfloat16:
            host = host.view(self.torch.int16)
        bits = host.numpy()
        return bits.view(np.uint16) if bits.dtype == np.int16 else bits

    def some_heads(self, most):
        """At most that many pairs (b, h), spread over all, the first and the last among
        them; 0 for all."""
        every = [(b, h) for b in range(self.sizes["b"]) for h in range(self.sizes["hq"])]
        if most == 0 or len(every) <= most:
            return every
        picks = np.unique(np.linspace(0, len(every) - 1, most).round().astype(int))
        return [every[i] for i in picks]

    # ===-- torch ---------------------------------------------------------===#

    def torch_backends(self):
        """(contenders, {name: why there is none}) of torch's attention."""
        names = {"cudnn": "CUDNN_ATTENTION", "flash": "FLASH_ATTENTION", "math": "MATH"}
        spec, s = self.spec, self.sizes
        reason = None
        if not self.torch:
            reason = self.no_torch
        elif self.dtype not in ("f16", "bf16", "f32"):
            reason = f"not for {self.dtype}"
        elif not spec.is_plain:
            reason = "not this mask or score"
        elif spec.mask == "causal" and s["sq"] != s["sk"]:
            reason = "its causal mask is aligned to the top left"
        if reason:
            return [], {f"torch {name}": reason for name in names}
        contenders, missing = [], {}
        for name, backend in names.items():
            title = f"torch {name}"
            if name == "math" and self._math_bytes() > self.device.free_memory() // 2:
                missing[title] = "its matrix of scores does not fit the memory"
                continue
            run = self._sdpa(backend)
            try:
                run(0)
                self.torch.cuda.synchronize()
                contenders.append(Contender(title, run, self.flops))
            except (RuntimeError, TypeError, AttributeError) as error:
                missing[title] = str(error).splitlines()[0]
        return contenders, missing

    def _math_bytes(self):
        # Scores and probabilities, in float32.
        s = self.sizes
        return 8 * s["b"] * s["hq"] * s["sq"] * s["sk"]

    def _sdpa(self, backend):
        def run(i):
            from torch.nn.attention import SDPBackend, sdpa_kernel

            q, k, v = self.sets[i % len(self.sets)]
            with sdpa_kernel(getattr(SDPBackend, backend)):
                self.torch.nn.functional.scaled_dot_product_attention(
                    q,
                    k,
                    v,
                    is_causal=self.spec.mask != "none",
                    scale=self.spec.effective_scale,
                    **({"enable_gqa": True} if self.spec.group > 1 else {}),
                )

        return run

    def matmul(self, n=8192):
        """A square product in the inputs' type, as a yardstick; None without torch."""
        if not self.torch or self.dtype not in ("f16", "bf16", "f32", "tf32"):
            return None
        torch = self.torch
        torch.backends.cuda.matmul.allow_tf32 = self.dtype == "tf32"
        place = {"device": f"cuda:{self.device.ordinal}", "dtype": self._torch_dtype()}
        a, b = (torch.randn(n, n, **place) for _ in range(2))
        out = torch.empty(n, n, **place)
        return Contender("matmul", lambda i: torch.mm(a, b, out=out), 2.0 * n**3)


def find_torch(wanted, device):
    """(the torch module or None, why it is None)."""
    if not wanted:
        return None, "not asked for"
    if device.is_emulated:
        return None, "the device is emulated"
    try:
        import torch
    except ImportError:
        return None, "torch is not installed"
    return (torch, "") if torch.cuda.is_available() else (None, "torch sees no GPU")


def inputs_of(kernel):
    """What makes two packages compute the same: the SPEC without `lse`."""
    if kernel.manifest.spec is None:
        raise BenchError(
            f"'{kernel.path}': expected a package of a SPEC, got one of an own score or mask region"
        )
    return ",".join(item for item in kernel.manifest.attention.split(",") if item != "lse")
