# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""flash.bench beside torch, with a stand-in for torch on the emulated driver.

The stand-in has what flash.bench asks of torch, with the meaning torch gives it:
tensors in the emulated device's memory, exported by DLPack, and attention
backends of which one refuses.
"""

import contextlib
import gc
import json
import sys
import types

import numpy as np
import pytest
from conftest import OPEN

import flash
from flash import arrays, dtypes
from flash.bench import __main__ as bench
from flash.bench import energy


class Dtype(str):
    pass


KINDS = {name: Dtype(name) for name in ("float16", "bfloat16", "float32", "int16", "uint8")}
TO_FLASH = {"float16": "f16", "bfloat16": "bf16", "float32": "f32", "int16": "i16", "uint8": "u8"}


class Tensor:
    """Bits on the device, seen as a dtype."""

    def __init__(self, array, dtype):
        self.array, self.dtype = array, dtype
        self.shape = array.shape
        self.device = "cuda:0"

    def view(self, dtype):
        other = flash.DeviceArray.from_numpy(
            self.array.numpy().view(dtypes.storage(TO_FLASH[dtype])), TO_FLASH[dtype]
        )
        return Tensor(other, dtype)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, stream=None):
        assert stream == -1
        return self.array.__dlpack__(stream)

    def cpu(self):
        return Host(self.array.numpy(), self.dtype)


Tensor.__module__ = "torch"


class Host:
    def __init__(self, bits, dtype):
        self.bits, self.dtype = bits, dtype

    def view(self, dtype):
        return Host(self.bits.view(dtypes.storage(TO_FLASH[dtype])), dtype)

    def numpy(self):
        assert self.dtype != KINDS["bfloat16"], "numpy has no bfloat16"
        return self.bits

    def to(self, place):
        assert place == "cuda:0"
        kind = TO_FLASH[self.dtype]
        return Tensor(flash.DeviceArray.from_numpy(self.bits, kind), self.dtype)


def make_torch(calls):
    """The module, noting in `calls` what was asked of it."""
    torch = types.ModuleType("torch")
    torch.__version__ = "0"
    torch.__dict__.update(KINDS)
    torch.from_numpy = lambda bits: Host(bits, KINDS[bits.dtype.name])

    def empty(*shape, dtype, device):
        if not isinstance(shape[0], (list, tuple)):
            # The matrices of the yardstick, which nobody looks into.
            return types.SimpleNamespace(shape=shape, dtype=dtype)
        return Tensor(flash.DeviceArray(shape[0], TO_FLASH[dtype]), dtype)

    torch.empty = torch.randn = empty
    torch.mm = lambda a, b, out: calls.append(("mm", a.shape, str(a.dtype)))
    torch.cuda = types.SimpleNamespace(
        synchronize=lambda: None,
        current_stream=lambda ordinal: types.SimpleNamespace(cuda_stream=0),
    )
    torch.backends = types.SimpleNamespace(
        cuda=types.SimpleNamespace(matmul=types.SimpleNamespace(allow_tf32=None))
    )
    chosen = []

    def attention(q, k, v, **options):
        if chosen[-1] == "CUDNN_ATTENTION":
            raise RuntimeError("No available kernel.\nSecond line")
        calls.append((chosen[-1], q.shape, k.shape, options))

    @contextlib.contextmanager
    def sdpa_kernel(backend):
        chosen.append(backend)
        yield

    torch.nn = types.ModuleType("torch.nn")
    torch.nn.functional = types.SimpleNamespace(scaled_dot_product_attention=attention)
    torch.nn.attention = types.ModuleType("torch.nn.attention")
    torch.nn.attention.SDPBackend = types.SimpleNamespace(
        **{name: name for name in ("CUDNN_ATTENTION", "FLASH_ATTENTION", "MATH")}
    )
    torch.nn.attention.sdpa_kernel = sdpa_kernel
    return torch


class Board:
    """An energy counter that ticks 2 J at every look at it."""

    def __init__(self, device):
        self.seconds, self.total = 0.0, 0.0

    def joules(self):
        self.total += 2.0
        return self.total

    def tick(self):
        self.seconds += 0.02
        return self.seconds, self.joules()

    def celsius(self):
        return 50


@pytest.fixture
def calls(monkeypatch):
    """What was asked of the stand-in, which flash.bench takes for torch."""
    made = []
    torch = make_torch(made)
    for name in ("torch", "torch.nn", "torch.nn.attention"):
        module = torch
        for part in name.split(".")[1:]:
            module = getattr(module, part)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(bench, "find_torch", lambda wanted, device: (torch, ""))
    monkeypatch.setattr(energy, "Board", Board)
    # The board's clock does not run by itself.
    monkeypatch.setattr(
        energy, "time", types.SimpleNamespace(monotonic=lambda: 1e9, sleep=lambda s: None)
    )
    return made


def test_beside_torch(package, tmp_path, calls, capsys):
    arguments = [str(package(OPEN)), "--sizes=b=1,hq=4,sq=48,sk=48", "--repeats=2", "--warm-up=1"]
    status = bench.main(arguments + [f"--json={tmp_path}/r.json", "--energy-seconds=0.001"])
    output = capsys.readouterr()
    assert status == 0, output.err
    assert "torch cudnn: left out: No available kernel." in output.out
    result = json.loads((tmp_path / "r.json").read_text())
    (kernel,) = result["kernels"]
    assert kernel["check"]["pass"] and kernel["energy_j"] is not None
    names = [entry["name"] for entry in result["references"]]
    assert names == ["torch flash", "torch math", "matmul"]
    flash_, math, matmul = result["references"]
    best = min(flash_["median_ms"], math["median_ms"])
    assert kernel["speedup_over_best_torch"] == pytest.approx(best / kernel["median_ms"])
    assert matmul["percent_of_matmul"] == pytest.approx(100)
    assert kernel["percent_of_matmul"] == pytest.approx(100 * kernel["tflops"] / matmul["tflops"])
    assert flash_["level"] is None and flash_["check"] is None
    # What torch was asked is the package's problem.
    asked = next(call for call in calls if call[0] == "FLASH_ATTENTION")
    assert asked[1:3] == ((1, 4, 48, 40), (1, 2, 48, 40))
    assert asked[3]["is_causal"] is True and asked[3]["enable_gqa"] is True
    assert asked[3]["scale"] == pytest.approx(40**-0.5)
    assert ("mm", (8192, 8192), "bfloat16") in calls


@pytest.mark.parametrize(
    "spec, sizes, reason",
    [
        (OPEN, "hq=2,sq=32,sk=48", "its causal mask is aligned to the top left"),
        ("sq=32,sk=32,d=64,dtype=f16,softcap=5", None, "not this mask or score"),
    ],
)
def test_what_torch_cannot(package, calls, capsys, spec, sizes, reason):
    arguments = [str(package(spec)), "--energy-seconds=0", "--repeats=1", "--warm-up=0"]
    assert bench.main(arguments + ([f"--sizes={sizes}"] if sizes else [])) == 0
    output = capsys.readouterr().out
    for backend in ("cudnn", "flash", "math"):
        assert f"torch {backend}: left out: {reason}" in output
    assert "energy: not asked for" in output


def test_results_are_the_library_s_own(kernel, operands, calls):
    torch = sys.modules["torch"]
    tensors = [torch.from_numpy(part.view(np.int16)).to("cuda:0") for part in operands]
    tensors = [tensor.view(torch.bfloat16) for tensor in tensors]
    out, lse = kernel(*tensors)
    assert out.dtype == torch.bfloat16 and lse.dtype == torch.float32
    assert (out.array.numpy() == kernel(*operands)[0]).all()
    gc.collect()
    assert not arrays._exported
