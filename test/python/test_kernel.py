# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Launching packages, on the emulated driver."""

import ctypes
import gc
import importlib.util
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import BUILD, OPEN, OWN_PATH, ROOT, normal, run

import flash
from flash import arrays, driver, dtypes, reference


def check(kernel, out, lse, q, k, v, scale=None):
    spec = kernel.manifest.spec
    sizes = dict(zip(("b", "hq", "sq", "d"), q.shape))
    sizes.update(hkv=k.shape[1], sk=k.shape[2], dv=v.shape[3])
    report = reference.check(
        out, lse, q, k, v, spec, sizes, scale or spec.effective_scale, spec.dtype
    )
    assert report["pass"], report["errors"]


def test_nothing_is_opened_before_the_first_launch(package):
    program = (
        "import sys, flash\n"
        f"kernel = flash.load({str(package(OPEN))!r})\n"
        "assert kernel.computes_lse and kernel.manifest.level == 9\n"
        "assert not any(name in sys.modules for name in ('torch', 'cupy', 'tqdm', 'matplotlib'))\n"
        "assert flash.driver.driver.cache_info().currsize == 0\n"
    )
    run(sys.executable, "-c", program, FLASH_CUDA_DRIVER="/none")


def test_numpy(kernel, operands):
    out, lse = kernel(*operands)
    assert out.dtype == np.uint16 and out.shape == (2, 4, 33, 40) and lse.dtype == np.float32
    check(kernel, out, lse, *operands)


def test_same_bits_as_flash_run(package, tmp_path):
    path = package(OPEN)
    run(
        BUILD / "bin" / "flash-run",
        path,
        "--sizes=b=2,hq=4,sq=33,sk=45",
        "--chip=sm_90",
        f"--dump={tmp_path}",
    )
    q, k, v, o, lse = (np.load(tmp_path / f"{name}.npy") for name in ("q", "k", "v", "o", "lse"))
    out, out_lse = flash.load(path / "manifest.json")(q, k, v)
    assert (out == o).all() and (out_lse == lse).all()


def test_results_into_given_arrays(kernel, operands):
    expected, expected_lse = kernel(*operands)
    # [b, s, h, d] in memory, seen as [b, h, s, d]; and every other element of lse.
    out = np.zeros((2, 33, 4, 40), np.uint16).transpose(0, 2, 1, 3)
    lse = np.zeros((2, 4, 66), np.float32)[:, :, ::2]
    returned = kernel(*operands, out, lse)
    assert returned[0] is out and returned[1] is lse
    assert (out == expected).all() and (lse == expected_lse).all()
    assert (lse.base[:, :, 1::2] == 0).all()


def test_strided_host_inputs(kernel, operands):
    expected, _ = kernel(*operands)
    strided = [
        np.ascontiguousarray(part.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3) for part in operands
    ]
    out, _ = kernel(*strided)
    assert (out == expected).all()


def test_device_arrays_in_place(kernel, operands):
    expected, expected_lse = kernel(*operands)
    placed = [flash.DeviceArray.from_numpy(part, "bf16") for part in operands]
    out = flash.DeviceArray((2, 4, 33, 40), "bf16")
    returned, lse = kernel(*placed, out)
    assert returned is out and isinstance(lse, flash.DeviceArray)
    assert (out.numpy() == expected).all() and (lse.numpy() == expected_lse).all()


class Strided:
    """A view of a device array with other strides and offset, through DLPack."""

    def __init__(self, base, shape, strides, offset):
        self.base, self.arguments = base, (shape, strides, offset)

    def __dlpack_device__(self):
        return self.base.__dlpack_device__()

    def __dlpack__(self, stream=None):
        capsule = self.base.__dlpack__(stream)
        tensor = ctypes.cast(
            arrays._capsule_pointer(capsule, b"dltensor"), ctypes.POINTER(arrays._DLManagedTensor)
        ).contents.tensor
        shape, strides, offset = self.arguments
        tensor.ndim = len(shape)
        self.keep = (ctypes.c_int64 * 4)(*shape), (ctypes.c_int64 * 4)(*strides)
        tensor.shape, tensor.strides = self.keep
        tensor.byte_offset = offset
        return capsule


def test_device_views_with_strides(kernel, operands):
    q, k, v = operands
    expected, _ = kernel(q, k, v)
    # Rows of 40 elements, 48 apart, one element from the start of the memory.
    rows = np.zeros((2 * 4 * 33, 48), np.uint16)
    rows[:, :40] = q.reshape(-1, 40)
    flat = np.concatenate([np.zeros(1, np.uint16), rows.ravel()])
    base = flash.DeviceArray.from_numpy(flat, "bf16")
    view = Strided(base, (2, 4, 33, 40), (4 * 33 * 48, 33 * 48, 48, 1), 2)
    out, _ = kernel(view, k, v)
    bits = out.numpy() if isinstance(out, flash.DeviceArray) else out
    assert (bits == expected).all()


def test_scale_replaces_the_compiled_one(kernel, operands):
    out, lse = kernel(*operands, scale=0.5)
    check(kernel, out, lse, *operands, scale=0.5)


def test_scalar_scale_changes_the_result(kernel, operands):
    assert (kernel(*operands, scale=0.5)[0] != kernel(*operands)[0]).any()


def test_without_lse(package):
    kernel = flash.load(package("hq=2,sq=20,sk=30,d=64,dtype=f16", "--chip=sm_86"))
    q, k, v = (normal((1, 2, s, 64), "f16", s) for s in (20, 30, 30))
    out = kernel(q, k, v)
    assert out.dtype == np.float16
    check(kernel, out, None, q, k, v)


def test_prepared_calls_repeat(kernel, operands):
    call = kernel.prepare(*[flash.DeviceArray.from_numpy(part, "bf16") for part in operands])
    call.start()
    first = call.out.numpy()
    call.out.memory.write(np.zeros_like(first))
    call.start()
    assert (call.out.numpy() == first).all() and first.any()


def test_memory_is_given_back(kernel, operands):
    kernel(*operands)
    gc.collect()
    free = driver.device(0).free_memory()
    for _ in range(3):
        kernel(*operands)
    gc.collect()
    assert driver.device(0).free_memory() == free and not arrays._exported


def test_dlpack_capsules_of_device_arrays():
    array = flash.DeviceArray.from_numpy(np.arange(6, dtype=np.float32).reshape(2, 3), "f32")
    assert array.__dlpack_device__() == (arrays.CUDA, 0)
    seen = arrays.view(array, "array", "f32")
    assert seen.shape == (2, 3) and seen.strides == (3, 1) and seen.address == array.memory.address
    del seen
    assert not arrays._exported


def test_dlpack_host_arrays(kernel, operands):
    class Foreign:
        """Something that is no numpy array and speaks DLPack on the CPU."""

        def __init__(self, bits):
            self.bits = bits

        def __dlpack__(self):
            return self.bits.__dlpack__()

        def __dlpack_device__(self):
            return self.bits.__dlpack_device__()

    out, _ = kernel(
        *[Foreign(part.transpose(0, 2, 1, 3).copy().transpose(0, 2, 1, 3)) for part in operands]
    )
    assert (out == kernel(*operands)[0]).all()


def test_ml_dtypes(kernel, operands):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    out, _ = kernel(*[part.view(ml_dtypes.bfloat16) for part in operands])
    assert out.dtype == ml_dtypes.bfloat16
    assert (out.view(np.uint16) == kernel(*operands)[0]).all()


def test_torch(kernel, operands):
    torch = pytest.importorskip("torch")
    tensors = [torch.from_numpy(part.view(np.int16)).view(torch.bfloat16) for part in operands]
    out, lse = kernel(*[tensor.requires_grad_() for tensor in tensors])
    assert out.dtype == torch.bfloat16 and lse.dtype == torch.float32
    assert (out.view(torch.int16).numpy().view(np.uint16) == kernel(*operands)[0]).all()


def test_captures(tmp_path):
    """A scalar that the score region captures is a keyword."""
    source = ROOT / "test" / "Tools" / "Inputs" / "slope.mlir"
    run(BUILD / "bin" / "flashc", source, "--emit=package", "-o", tmp_path / "p")
    np.save(tmp_path / "slope.npy", np.float32(0.25))
    run(
        BUILD / "bin" / "flash-run",
        source,
        f"--package={tmp_path}/p",
        "--chip=sm_90",
        f"--input=slope={tmp_path}/slope.npy",
        f"--dump={tmp_path}",
    )
    q, k, v, expected = (np.load(tmp_path / f"{name}.npy") for name in ("q", "k", "v", "o"))
    kernel = flash.load(tmp_path / "p")
    (name,) = kernel.extra_parameters
    assert (kernel(q, k, v, **{name: 0.25}) == expected).all()
    assert (kernel(q, k, v, **{name: 0.5}) != expected).any()
    with pytest.raises(flash.ArgumentError, match="expected one, as a keyword, got none"):
        kernel(q, k, v)


def check_eight_bits(kernel, spec_sizes, out, lse, operands, scales):
    spec = kernel.manifest.spec
    arguments = out, lse, *operands, spec, spec_sizes, spec.effective_scale, spec.dtype
    report = reference.check(*arguments, descales=scales)
    assert report["pass"], report["errors"]
    return reference.check(*arguments)


@pytest.mark.parametrize("mode", ["eager", "lazy", "random"])
@pytest.mark.parametrize("dtype", ["e4m3", "e5m2"])
def test_eight_bits(package, dtype, mode, tmp_path):
    """8-bit operands are what they are times a scale per head, 1 where none is given."""
    path = package(
        f"b=?,hq=?,hkv=hq/2,sq=?,sk=?,d=96,dv=48,dtype={dtype},mask=causal,lse", "--chip=sm_89"
    )
    sizes = dict(b=2, hq=4, hkv=2, sq=33, sk=70, d=96, dv=48)
    operands = [
        normal((2, heads, length, d), dtype, heads + length)
        for heads, length, d in ((4, 33, 96), (2, 70, 96), (2, 70, 48))
    ]
    names = "q", "k", "v"
    scales = [
        np.float32(0.5) + np.arange(2 * heads, dtype=np.float32).reshape(2, heads) / 8
        for heads in (4, 2, 2)
    ]
    for name, bits in zip(names, operands):
        np.save(tmp_path / f"{name}.npy", bits)
    for name, values in zip(names, scales):
        np.save(tmp_path / f"{name}_descale.npy", values)
    # In a process of its own: the emulated driver reads its settings once.
    program = f"""
import numpy as np, flash
kernel = flash.load({str(path)!r})
load = lambda name: np.load({str(tmp_path)!r} + '/' + name + '.npy')
operands = [load(name) for name in 'qkv']
scaled = kernel(*operands, **{{f'{{name}}_descale': load(f'{{name}}_descale') for name in 'qkv'}})
for name, (out, lse) in [('scaled', scaled), ('plain', kernel(*operands))]:
    np.save({str(tmp_path)!r} + f'/{{name}}.npy', out)
    np.save({str(tmp_path)!r} + f'/{{name}}_lse.npy', lse)
"""
    run(sys.executable, "-c", program, FLASH_EMULATED_ASYNC=mode, FLASH_EMULATED_CHIP="sm_89")
    scaled, scaled_lse, plain, plain_lse = (
        np.load(tmp_path / f"{name}.npy") for name in ("scaled", "scaled_lse", "plain", "plain_lse")
    )
    kernel = flash.load(path)
    assert not check_eight_bits(kernel, sizes, scaled, scaled_lse, operands, scales)["pass"]
    ones = [np.ones_like(values) for values in scales]
    assert check_eight_bits(kernel, sizes, plain, plain_lse, operands, ones)["pass"]


def test_documents(tmp_path):
    """A mask that captures decide: launches before the kernel list the tiles it visits."""
    source = ROOT / "test" / "Tools" / "Inputs" / "documents.mlir"
    run(BUILD / "bin" / "flashc", source, "--emit=package", "-o", tmp_path / "p")
    kernel = flash.load(tmp_path / "p")
    assert len(kernel.manifest.launches) > 1
    q, k, v = (normal((1, heads, 300, 64), "f16", seed) for heads, seed in ((2, 1), (1, 2), (1, 3)))

    def expected(documents):
        live = documents[:, None] == documents[None, :]
        result = np.zeros(q.shape)
        for head in range(2):
            scores = q[0, head].astype(np.float64) @ k[0, 0].astype(np.float64).T / 8
            weights = np.where(live, np.exp(scores - scores.max()), 0)
            weights /= weights.sum(axis=1, keepdims=True)
            result[0, head] = weights @ v[0, 0].astype(np.float64)
        return result

    def error(out, documents):
        wanted = expected(documents)
        difference = np.linalg.norm(out.astype(np.float64) - wanted, axis=3)
        return (difference / np.linalg.norm(wanted, axis=3)).max()

    # One document after the other, then all of one, then of changing ones.
    ragged = np.repeat(np.arange(5, dtype=np.int32), [1, 99, 64, 36, 100])
    mixed = (np.arange(300) // 50 % 3).astype(np.int32)
    (name,) = kernel.extra_parameters
    results = {}
    for key, documents in ("ragged", ragged), ("one", np.zeros(300, np.int32)), ("mixed", mixed):
        results[key] = kernel(q, k, v, **{name: documents})
        assert error(results[key], documents) < reference.ROW_TOLERANCE["f16"]
    # What was computed for other documents is not within the bound.
    assert error(results["ragged"], mixed) > 0.1
    # From device memory, again into the same workspace.
    placed = [flash.DeviceArray.from_numpy(part, "f16") for part in (q, k, v)]
    on_device = kernel(*placed, **{name: flash.DeviceArray.from_numpy(mixed, "i32")})
    assert (on_device.numpy() == results["mixed"]).all()
    with pytest.raises(flash.ArgumentError, match=r"expected shape \(300\), got \(299\)"):
        kernel(q, k, v, **{name: ragged[1:]})


def test_launches_before_share_the_workspace(package, operands, tmp_path):
    sys.path.insert(0, str(ROOT / "test" / "Tools" / "Inputs"))
    from add_launches import add_launches

    shutil.copytree(package(OPEN), tmp_path / "p")
    add_launches(tmp_path / "p")
    # The attention, which comes last, shall not write over what the two have.
    ptx = tmp_path / "p" / "kernel.ptx"
    text = ptx.read_text()
    first = text.index("{", text.index(".entry attention")) + 1
    ptx.write_text(text[:first] + "\n ret;\n" + text[first:])
    kernel = flash.load(tmp_path / "p")
    assert [launch.entry for launch in kernel.manifest.launches] == ["fill", "spread", "attention"]
    placed = [flash.DeviceArray.from_numpy(part, "bf16") for part in operands]
    out, _ = kernel(*placed)
    assert (dtypes.decode(out.numpy().ravel()[:33], "bf16") == 3.0).all()
    # The workspace stays with the stream.
    assert len(kernel._workspaces) == 1
    kernel(*placed)
    assert len(kernel._workspaces) == 1


def test_extents_and_scales_of_heads(package, operands, tmp_path):
    """A launch gets the open extent of a capture and, by default, scales of 1."""
    shutil.copytree(package(OPEN), tmp_path / "p")
    manifest = json.loads((tmp_path / "p" / "manifest.json").read_text())
    pointer = {"kind": "pointer", "align": 4, "row_align": 4, "unit_inner_stride": False}
    added = [
        {"name": "bias", "role": "capture", "dtype": "f32", "rank": 1, "shape": ["?"], **pointer},
        {"name": "bias_extent_0", "kind": "i64", "role": "extent", "of": "bias", "dim": 0},
        {"name": "k_descale", "role": "k_descale", "dtype": "f32", "rank": 2, **pointer},
    ]
    manifest["launch"]["parameters"] = [p["name"] for p in manifest["parameters"]]
    manifest["parameters"] += added
    manifest["version"] = 2
    manifest["before"] = [
        {
            "entry": "note",
            "parameters": ["o", "bias_extent_0", "k_descale"],
            "grid": ["1"] * 3,
            "block": ["1"] * 3,
            "cluster": ["1"] * 3,
            "dynamic_shared_bytes": 0,
        }
    ]
    (tmp_path / "p" / "manifest.json").write_text(json.dumps(manifest))
    ptx = tmp_path / "p" / "kernel.ptx"
    text = ptx.read_text()
    first = text.index("{", text.index(".entry attention")) + 1
    ptx.write_text(text[:first] + "\n ret;\n" + text[first:] + """
.visible .entry note(.param .u64 o, .param .u64 extent, .param .u64 scale)
{
  .reg .b64 %rd<5>; .reg .b32 %r<4>;
  ld.param.u64 %rd1, [o]; ld.param.u64 %rd2, [extent]; ld.param.u64 %rd3, [scale];
  ld.global.u32 %r1, [%rd3+12]; cvt.u32.u64 %r2, %rd2;
  st.global.u32 [%rd1], %r2; st.global.u32 [%rd1+4], %r1; ret;
}
""")
    kernel = flash.load(tmp_path / "p")
    assert kernel.extra_parameters == ["bias", "k_descale"]
    bias = np.zeros(77, np.float32)

    def noted(**extra):
        placed = [flash.DeviceArray.from_numpy(part, "bf16") for part in operands]
        out, _ = kernel(*placed, bias=bias, **extra)
        bits = out.numpy().ravel()[:4]
        return bits[:2].view(np.uint32)[0], bits[2:].view(np.float32)[0]

    assert noted() == (77, 1.0)
    # The last of its two batches and two heads.
    scale = np.array([[1, 2], [3, 4]], np.float32)
    assert noted(k_descale=scale) == (77, 4.0)
    with pytest.raises(
        flash.ArgumentError, match=r"k_descale: expected shape \(2, 2\), got \(2, 3\)"
    ):
        noted(k_descale=np.ones((2, 3), np.float32))


def test_a_race_is_an_error(package, operands, tmp_path):
    shutil.copytree(package(OPEN), tmp_path / "p")
    text = (tmp_path / "p" / "kernel.ptx").read_text()
    (tmp_path / "p" / "kernel.ptx").write_text(
        "\n".join(line for line in text.splitlines() if "bar.sync" not in line)
    )
    with pytest.raises(flash.CudaError, match="cuLaunchKernel: CUDA_ERROR_LAUNCH_FAILED"):
        flash.load(tmp_path / "p")(*operands)


def test_installs_and_runs_elsewhere(package, operands, tmp_path):
    """pip installs the package; it runs with none of this tree on the path."""
    for needed in ("pip", "setuptools", "wheel"):
        if not importlib.util.find_spec(needed):
            pytest.skip(f"could not find {needed}")
    copy = tmp_path / "python"
    shutil.copytree(ROOT / "python", copy, ignore=shutil.ignore_patterns("__pycache__"))
    site = tmp_path / "site"
    run(
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--target",
        site,
        copy,
    )
    np.savez(tmp_path / "in.npz", *operands)
    program = (
        "import numpy, flash, flash.bench.__main__, os\n"
        f"assert flash.__file__.startswith({str(site)!r})\n"
        f"arrays = numpy.load({str(tmp_path / 'in.npz')!r})\n"
        f"out, lse = flash.load({str(package(OPEN))!r})(*(arrays[n] for n in arrays.files))\n"
        f"numpy.save({str(tmp_path / 'out.npy')!r}, out)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={
            "PYTHONPATH": os.pathsep.join([str(site), OWN_PATH]),
            "PATH": "/usr/bin:/bin",
            "FLASH_CUDA_DRIVER": str(BUILD / "lib/emulated-driver/libcuda.so.1"),
        },
    )
    assert done.returncode == 0
    assert (np.load(tmp_path / "out.npy") == flash.load(package(OPEN))(*operands)[0]).all()
