# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is refused, in which words: role, expected, got."""

import json
import re
import shutil
import sys

import numpy as np
import pytest
from conftest import BUILD, OPEN, normal, run

import flash


def refused(error, message):
    return pytest.raises(error, match=f"^{re.escape(message)}")


def test_shapes(kernel, operands):
    q, k, v = operands
    cases = [
        ((q[0], k, v), "query: expected rank 4 (batch, heads, sequence, head dim), got 3"),
        ((q[..., :32], k, v), "size d: expected 40, for which the kernel was compiled, got 32"),
        ((q, k[..., :32], v), "key: expected shape (2, 2, 45, 40), got (2, 2, 45, 32)"),
        ((q, k, v[:, :, 1:]), "value: expected shape (2, 2, 45, 40), got (2, 2, 44, 40)"),
        ((q, k[:, :1], v[:, :1]), "size hq: expected 2 times hkv = 1, got 4"),
        ((q, k[:1], v), "key: expected shape (2, 2, 45, 40), got (1, 2, 45, 40)"),
        ((q[:, :, :0], k, v), "size sq: expected 1 to 2147483647, got 0"),
        ((q, k, v, q[:1]), "output: expected shape (2, 4, 33, 40), got (1, 4, 33, 40)"),
        (
            (q, k, v, None, np.zeros((2, 4, 34), np.float32)),
            "lse: expected shape (2, 4, 33), got (2, 4, 34)",
        ),
    ]
    for arguments, message in cases:
        with refused(flash.ArgumentError, message):
            kernel(*arguments)


def test_types(kernel, operands):
    q, k, v = operands
    cases = [
        (
            (q.astype(np.float32), k, v),
            "query: expected elements of bf16 (uint16 or bfloat16), got float32",
        ),
        (
            (q, k.view(np.int16), v),
            "key: expected elements of bf16 (uint16 or bfloat16), got int16",
        ),
        (
            (q, k, v.tolist()),
            "value: expected an array of numpy, torch, cupy or another library with DLPack, got list",
        ),
        (
            (q, k, v, None, np.zeros((2, 4, 33))),
            "lse: expected elements of f32 (float32), got float64",
        ),
    ]
    for arguments, message in cases:
        with refused(flash.ArgumentError, message):
            kernel(*arguments)

    class Unexportable:
        def __dlpack_device__(self):
            return 1, 0

        def __dlpack__(self):
            raise BufferError("float8 is not in DLPack yet")

    with refused(flash.ArgumentError, "key: expected elements of bf16 (uint16 or bfloat16), which"):
        kernel(q, Unexportable(), v)
    wrong = flash.DeviceArray.from_numpy(q.view(np.float16), "f16")
    with refused(flash.ArgumentError, "query: expected elements of bf16"):
        kernel(wrong, k, v)


def test_arguments(package, kernel, operands):
    with refused(flash.ArgumentError, "scale: expected a positive number"):
        kernel(*operands, scale=-1.0)
    with refused(
        flash.ArgumentError, "'bias': expected a capture of the kernel (none), got another"
    ):
        kernel(*operands, bias=operands[0])
    read_only = np.zeros_like(operands[0])
    read_only.flags.writeable = False
    with refused(flash.ArgumentError, "output: expected an array to write to, got a read-only one"):
        kernel(*operands, read_only)
    plain = flash.load(package("sq=20,sk=30,d=64,dtype=f16"))
    q, k, v = (normal((1, 1, s, 64), "f16") for s in (20, 30, 30))
    with refused(flash.ArgumentError, "lse: expected none, as the kernel computes none"):
        plain(q, k, v, lse=np.zeros((1, 1, 20), np.float32))
    with refused(
        flash.ArgumentError, "size sk: expected 30, for which the kernel was compiled, got 29"
    ):
        plain(q, k[:, :, :29], v[:, :, :29])


def test_alignment(package, tmp_path):
    """A kernel that asks for rows of 16 bytes says so of those that are not."""
    path = tmp_path / "p"
    shutil.copytree(package("hq=2,sq=20,sk=30,d=40,dtype=f16"), path)
    manifest = json.loads((path / "manifest.json").read_text())
    for parameter in manifest["parameters"][:3]:
        parameter.update(align=16, row_align=16, unit_inner_stride=True)
    (path / "manifest.json").write_text(json.dumps(manifest))
    kernel = flash.load(path)
    k, v = (flash.DeviceArray.from_numpy(normal((1, 2, 30, 40), "f16"), "f16") for _ in range(2))
    from test_kernel import Strided

    base = flash.DeviceArray.from_numpy(np.zeros(4000, np.float16), "f16")
    for strides, offset, message in [
        ((1760, 880, 44, 1), 0, "query: expected the stride of dimension 2 to be a multiple of 16"),
        ((1600, 804, 40, 1), 0, "query: expected the stride of dimension 1 to be a multiple of 16"),
        ((1600, 800, 40, 1), 2, "query: expected a base aligned to 16 bytes, got address"),
        ((1600, 40, 80, 2), 0, "query: expected an innermost stride of 1, got 2"),
    ]:
        with refused(flash.ArgumentError, message):
            kernel(Strided(base, (1, 2, 20, 40), strides, offset), k, v)
    # The stride of a dimension of size 1 is never stepped along.
    kernel(Strided(base, (1, 2, 20, 40), (1601, 800, 40, 1), 0), k, v)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda m: m.update(version=3), "manifest: version: expected one of 1, 2, got 3"),
        (lambda m: m.pop("entry"), "manifest: missing member 'entry'"),
        (lambda m: m.update(chip=80), "manifest: chip: expected str, got 80"),
        (lambda m: m["launch"].pop("grid"), "manifest launch: missing member 'grid'"),
        (
            lambda m: m["parameters"][0].update(kind="u8"),
            "manifest parameter 0: kind: expected one of pointer, i32, i64, f32, got 'u8'",
        ),
        (
            lambda m: m.update(attention="sq=1,sk=1"),
            "attention: expected a SPEC, got 'sq=1,sk=1': d is missing",
        ),
        (
            lambda m: m["launch"].update(parameters=["x"]),
            "manifest launch of 'attention': expected names of parameters, got 'x'",
        ),
        (
            lambda m: m.update(files={"ptx": "../x"}),
            "manifest: files: expected the name of a file beside the manifest, got '../x'",
        ),
    ],
)
def test_manifests(package, tmp_path, change, message):
    path = tmp_path / "p"
    shutil.copytree(package(OPEN), path)
    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))
    with refused(flash.PackageError, f"'{path}/manifest.json': {message}"):
        flash.load(path)


def test_files(package, tmp_path):
    with refused(flash.PackageError, f"cannot read '{tmp_path}/manifest.json': No such file"):
        flash.load(tmp_path)
    shutil.copytree(package(OPEN), tmp_path / "p")
    (tmp_path / "p" / "kernel.ptx").unlink()
    with refused(flash.PackageError, f"cannot read '{tmp_path}/p/kernel.ptx'"):
        flash.load(tmp_path / "p")
    (tmp_path / "p" / "manifest.json").write_text("{")
    with refused(
        flash.PackageError, f"'{tmp_path}/p/manifest.json': manifest: expected well-formed JSON"
    ):
        flash.load(tmp_path / "p")


CALL = """
import sys, numpy, flash
q = numpy.zeros((1, 2, 33, 40), numpy.uint16)
try:
    flash.load(sys.argv[1])(q, q[:, :1], q[:, :1])
except flash.CudaError as error:
    print(error)
    sys.exit(1)
"""


@pytest.mark.parametrize(
    "environment, message",
    [
        (
            {"FLASH_CUDA_DRIVER": "/none.so"},
            "CUDA driver: cannot open the one that FLASH_CUDA_DRIVER names: /none.so",
        ),
        (
            {"FLASH_CUDA_DRIVER": "libm.so.6"},
            "CUDA driver: expected the entry point cuInit, got a library without it",
        ),
        (
            {"FLASH_EMULATED_CHIP": "nonsense"},
            "cuInit: CUDA_ERROR_INVALID_VALUE (invalid argument)",
        ),
        (
            {"FLASH_EMULATED_CHIP": "sm_80"},
            "compute capability: expected 8.9 or higher, as the package is for sm_89, got 8.0 (Flash emulator of sm_80)",
        ),
        (
            {"FLASH_EMULATED_MEMORY": "3000"},
            "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (out of memory): 5280 bytes",
        ),
    ],
)
def test_driver(package, environment, message):
    output = run(
        sys.executable, "-c", CALL, package(OPEN, "--chip=sm_89"), fails=True, **environment
    )
    assert message in output


def test_driver_errors_of_a_package(package, operands, tmp_path):
    def changed(name, file, old, new):
        shutil.copytree(package(OPEN), tmp_path / name)
        text = (tmp_path / name / file).read_text()
        assert old in text
        (tmp_path / name / file).write_text(text.replace(old, new))
        return flash.load(tmp_path / name)

    with refused(flash.CudaError, "kernel 'other': cuModuleGetFunction: CUDA_ERROR_NOT_FOUND"):
        changed("entry", "manifest.json", '"entry": "attention"', '"entry": "other"')(*operands)
    with refused(
        flash.CudaError,
        "cuModuleLoadDataEx: CUDA_ERROR_INVALID_PTX (a PTX JIT compilation failed): line",
    ):
        changed("ptx", "kernel.ptx", "mma.sync.aligned", "mma.sink.aligned")(*operands)
    with refused(flash.CudaError, "shared memory: kernel 'attention' takes 300000 bytes per CTA"):
        kernel = changed("shared", "kernel.ptx", ".version", ".version")
        kernel.manifest.launches[0].dynamic_shared_bytes = 300000
        kernel(*operands)
