# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""python -m flash.bench, from end to end on the emulated driver."""

import json
import shutil
import sys

import pytest
from conftest import run

SPEC = "b=1,hq=4,hkv=2,sq=?,sk=?,d=64,dtype=bf16,mask=causal"


def bench(*arguments, fails=False):
    return run(sys.executable, "-m", "flash.bench", *arguments, fails=fails)


def test_end_to_end(package, tmp_path):
    levels = [package(SPEC + ",lse"), package(SPEC, "--level=8")]
    output = bench(
        *levels,
        "--sizes=sq=40,sk=70",
        "--sizes=sq=64,sk=64",
        "--repeats=3",
        f"--json={tmp_path}/r.json",
    )
    assert output.count("pass") == 4
    assert "emulated: the times are the emulator's and say nothing of a GPU" in output
    assert "energy: expected a board, got the emulator" in output
    assert "torch cudnn: left out: the device is emulated" in output
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["emulated"] is True and result["board"] == "Flash emulator of sm_90"
    assert [entry["level"] for entry in result["kernels"]] == [9, 8, 9, 8]
    for entry in result["kernels"]:
        assert entry["check"]["pass"] and entry["check"]["heads"] == 4
        assert 0 < entry["min_ms"] <= entry["median_ms"] and entry["repeats"] == 3
        assert entry["energy_j"] is None and entry["chip"] == "sm_80"
        # Half of the pairs count under a causal mask.
        pairs = entry["sizes"]["sq"] * entry["sizes"]["sk"] / 2
        flops = 2 * 4 * pairs * (64 + 64)
        assert entry["tflops"] == pytest.approx(flops / entry["median_ms"] * 1e-9)
    assert result["kernels"][0]["check"]["lse_max_abs_err"] < 1e-3
    assert result["kernels"][1]["check"]["lse_max_abs_err"] is None
    assert result["references"] == []
    assert result["kernels"][0]["problem"] == SPEC + " at sq=40,sk=70"


def test_a_wrong_kernel_fails(package, tmp_path):
    shutil.copytree(package(SPEC), tmp_path / "wrong")
    manifest = tmp_path / "wrong" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("mask=causal", "mask=causal_tl"))
    output = bench(tmp_path / "wrong", "--sizes=sq=40,sk=70", fails=True)
    assert "FAIL" in output and "row bound" in output
    assert "flash.bench: error: check failed: wrong" in output
    bench(tmp_path / "wrong", "--sizes=sq=40,sk=70", "--no-check")


def test_some_heads(package):
    output = bench(package("b=2,hq=6,sq=9,sk=9,d=40,dtype=f16"), "--check-heads=3")
    assert "pass" in output


def test_refusals(package, tmp_path):
    for arguments, message in [
        ([tmp_path], "flash.bench: error: cannot read"),
        ([package(SPEC), "--sizes=d=32"], "--sizes: expected b, hq, hkv, sq or sk, got 'd'"),
        ([package(SPEC), "--sizes=hq=8"], "--sizes: hq: expected 4, as compiled, got 8"),
        ([package(SPEC), "--sizes=sq=16", "--json=/none/r.json"], "flash.bench: error: [Errno 2]"),
    ]:
        assert message in bench(*arguments, fails=True)


def test_plot(package, tmp_path):
    pytest.importorskip("matplotlib")
    bench(package(SPEC), "--sizes=sq=16", f"--plot={tmp_path}/r.png")
    assert (tmp_path / "r.png").read_bytes()[:4] == b"\x89PNG"


def test_energy_arithmetic():
    """Joules per call and beyond idling, with a board that is not one."""
    from flash.bench import energy
    from flash.bench.problem import Contender

    class Board:
        """Draws 100 W while idle and 5 J for every call; ticks every 50 ms."""

        def __init__(self):
            self.now, self.calls = 0.0, 0
            self.ticked, self.shown = 0.0, 0.0

        def joules(self):
            if self.now - self.ticked >= 0.05:
                self.ticked, self.shown = self.now, 100 * self.now + 5 * self.calls
            return self.shown

        def tick(self):
            self.now = self.ticked + 0.05
            return self.now, self.joules()

        def celsius(self):
            return 61

    class Device:
        def synchronize(self):
            pass

    board = Board()

    def run_once(i):
        board.calls += 1
        board.now += 0.01

    import time as clock

    original = energy.time
    try:
        energy.time = type(
            "Time",
            (),
            {"monotonic": staticmethod(lambda: board.now), "sleep": staticmethod(lambda s: None)},
        )
        result = energy.measure(
            Contender("x", run_once, 1.0),
            Device(),
            board,
            idle=100.0,
            call_ms=10.0,
            seconds=1.0,
            trials=3,
            cool_down=0.0,
        )
    finally:
        energy.time = original
    assert result["energy_j_idle_subtracted"] == pytest.approx(5.0)
    # 10 ms of drawing 100 W on top of each call, and no idling between ticks.
    assert result["energy_j"] == pytest.approx(6.0)
    assert result["temperature_c"] == 61 and len(result["energy_j_trials"]) == 3
    assert clock.monotonic() > 0
