# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The Python tests run on the emulated driver of the build tree.

FLASH_BUILD names the build tree (build/ beside this one's root unless given).
"""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("FLASH_BUILD", ROOT / "build"))

# Whoever runs the tests may have put numpy there.
OWN_PATH = os.environ.get("PYTHONPATH", "")
sys.path.insert(0, str(ROOT / "python"))
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "python"), OWN_PATH])
os.environ["FLASH_CUDA_DRIVER"] = str(BUILD / "lib" / "emulated-driver" / "libcuda.so.1")
for name in ("FLASH_EMULATED_CHIP", "FLASH_EMULATED_ASYNC", "FLASH_EMULATED_MEMORY"):
    os.environ.pop(name, None)


def run(*command, fails=False, **environment):
    """Output of a command that must succeed or, as asked, fail with status 1."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == (1 if fails else 0), done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """A function that compiles a SPEC into a package, once."""
    made = {}

    def compile_(spec, *options):
        key = (spec, *options)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("package") / f"p{len(made)}"
            run(
                BUILD / "bin" / "flashc",
                f"--attention={spec}",
                *options,
                "--emit=package",
                "-o",
                made[key],
            )
        return made[key]

    return compile_


OPEN = "b=?,hq=?,hkv=hq/2,sq=?,sk=?,d=40,dtype=bf16,mask=causal,lse"


@pytest.fixture
def kernel(package):
    """Causal, bfloat16, open sizes, with lse."""
    import flash

    return flash.load(package(OPEN))


def normal(shape, dtype, seed=0):
    from flash import dtypes

    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return dtypes.encode(values, dtype)


@pytest.fixture
def operands():
    """q, k, v as bits, for the kernel above."""
    return [
        normal(s, "bf16", i) for i, s in enumerate([(2, 4, 33, 40), (2, 2, 45, 40), (2, 2, 45, 40)])
    ]
