# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Energy of the board per call, by the total-energy counter of NVML.

The counter ticks every 20 to 100 ms and samples part of the time, so a kernel
is looped for seconds, from one tick to another, several times with pauses in
between. Power times time is not energy, and peak power is none at all.
"""

import ctypes
import statistics
import time

from ..driver import CudaError

_BATCH_SECONDS = 0.05


class Board:
    """The energy counter and the thermometer of one device's board."""

    def __init__(self, device):
        """Raises CudaError with the reason where there is no such counter."""
        if device.is_emulated:
            raise CudaError("energy: expected a board, got the emulator")
        try:
            self.library = ctypes.CDLL("libnvidia-ml.so.1")
        except OSError as error:
            raise CudaError(f"energy: NVML: {error}") from None
        self.library.nvmlErrorString.restype = ctypes.c_char_p
        self._call("nvmlInit_v2")
        bus = ctypes.create_string_buffer(32)
        device.driver.call("cuDeviceGetPCIBusId", bus, len(bus), device.handle)
        self.handle = ctypes.c_void_p()
        self._call("nvmlDeviceGetHandleByPciBusId_v2", bus, ctypes.byref(self.handle))
        self.joules()

    def _call(self, name, *arguments):
        code = getattr(self.library, name)(*arguments)
        if code != 0:
            text = self.library.nvmlErrorString(code).decode()
            raise CudaError(f"energy: {name}: {text}", code)

    def joules(self):
        """Since the driver was loaded."""
        value = ctypes.c_ulonglong()
        self._call("nvmlDeviceGetTotalEnergyConsumption", self.handle, ctypes.byref(value))
        return value.value * 1e-3

    def celsius(self):
        value = ctypes.c_uint()
        self._call("nvmlDeviceGetTemperature", self.handle, 0, ctypes.byref(value))
        return value.value

    def tick(self):
        """(time, joules) at the counter's next tick."""
        before = self.joules()
        while True:
            now = self.joules()
            if now != before:
                return time.monotonic(), now


def idle_watts(board, seconds):
    """What the board draws while nothing runs."""
    start, first = board.tick()
    time.sleep(seconds)
    end, last = board.tick()
    return (last - first) / (end - start)


def measure(contender, device, board, idle, call_ms, seconds, trials, cool_down):
    """Joules per call of one contender: medians over the trials.

    `energy_j` is all the board took, `energy_j_idle_subtracted` what it took
    beyond idling for as long.
    """
    batch = max(1, int(_BATCH_SECONDS / (call_ms * 1e-3)))
    raw, above, temperatures = [], [], []
    for _ in range(trials):
        time.sleep(cool_down)
        calls = 0
        contender.run(0)
        device.synchronize()
        start, first = board.tick()
        end, last, ticked = start, first, False
        # Up to the first tick after the time asked for: one call at a time then,
        # so that the board is never idle and hardly a call goes beyond it.
        while end - start < seconds or not ticked:
            for _ in range(batch if end - start < seconds else 1):
                contender.run(calls)
                calls += 1
            device.synchronize()
            end, shown = time.monotonic(), board.joules()
            ticked, last = shown != last, shown
        temperatures.append(board.celsius())
        raw.append((last - first) / calls)
        above.append((last - first - idle * (end - start)) / calls)
    return {
        "energy_j": statistics.median(raw),
        "energy_j_idle_subtracted": statistics.median(above),
        "energy_j_trials": raw,
        "temperature_c": max(temperatures),
    }
