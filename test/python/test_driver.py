# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The emulated driver as launchers see it that are not Flash's."""

import ctypes
import os
import sys
import threading
from ctypes import byref, c_float, c_int, c_size_t, c_uint64, c_void_p

import numpy as np
import pytest
from conftest import BUILD, OPEN, run

import flash
from flash import driver
from flash.manifest import LaunchShape

PTX = b"""
.version 7.8
.target sm_90
.address_size 64
.visible .entry scale(.param .u64 x, .param .f32 factor, .param .u32 count)
{
  .reg .b64 %rd<5>; .reg .b32 %r<9>; .reg .f32 %f<4>; .reg .pred %p<2>;
  ld.param.u64 %rd1, [x]; ld.param.f32 %f1, [factor]; ld.param.u32 %r4, [count];
  mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x;
  mad.lo.s32 %r5, %r1, %r2, %r3;
  setp.ge.u32 %p1, %r5, %r4; @%p1 ret;
  mul.wide.u32 %rd2, %r5, 4; add.s64 %rd3, %rd1, %rd2;
  ld.global.f32 %f2, [%rd3]; mul.f32 %f3, %f2, %f1; st.global.f32 [%rd3], %f3; ret;
}
.visible .entry rank(.param .u64 x)
{
  .reg .b64 %rd<5>; .reg .b32 %r<9>;
  ld.param.u64 %rd1, [x]; mov.u32 %r1, %ctaid.x; mov.u32 %r2, %cluster_ctarank;
  mul.wide.u32 %rd2, %r1, 4; add.s64 %rd3, %rd1, %rd2; st.global.u32 [%rd3], %r2; ret;
}
"""


@pytest.fixture
def cuda():
    """The functions, with a context, a loaded module and some memory."""
    device = driver.device(0)
    with device.current():
        yield device.driver.call


@pytest.fixture
def module(cuda):
    handle = c_void_p()
    cuda("cuModuleLoadDataEx", byref(handle), PTX, 0, None, None)
    yield handle
    cuda("cuModuleUnload", handle)


def function(cuda, module, name):
    handle = c_void_p()
    cuda("cuModuleGetFunction", byref(handle), module, name)
    return handle


def test_arguments_by_pointers(cuda, module):
    x = flash.DeviceArray.from_numpy(np.arange(50, dtype=np.float32), "f32")
    values = c_uint64(x.memory.address), c_float(3.0), c_int(50)
    parameters = (c_void_p * 3)(*(ctypes.addressof(value) for value in values))
    cuda(
        "cuLaunchKernel",
        function(cuda, module, b"scale"),
        2,
        1,
        1,
        32,
        1,
        1,
        0,
        None,
        parameters,
        None,
    )
    assert (x.numpy() == 3 * np.arange(50)).all()


def test_clusters(cuda, module):
    x = flash.DeviceArray.from_numpy(np.zeros(8, np.uint32), "u32")
    shape = LaunchShape((8, 1, 1), (32, 1, 1), (4, 1, 1), 0)
    device = driver.device(0)
    packed = x.memory.address.to_bytes(8, "little")
    driver.PreparedLaunch(device, function(cuda, module, b"rank"), shape, packed).start(0)
    assert x.numpy().tolist() == [0, 1, 2, 3] * 2


def test_streams_and_events(cuda):
    raw = ctypes.CDLL(os.environ["FLASH_CUDA_DRIVER"])
    stream = c_void_p()
    assert raw.cuStreamCreate(byref(stream), 0) == 0
    start, end = driver.Event(driver.device(0)), driver.Event(driver.device(0))
    start.record(stream)
    end.record(stream)
    end.synchronize()
    assert 0 <= end.milliseconds_since(start) < 1000
    assert raw.cuStreamSynchronize(stream) == 0
    assert raw.cuStreamDestroy_v2(stream) == 0
    assert raw.cuStreamDestroy_v2(stream) == 400  # CUDA_ERROR_INVALID_HANDLE


def test_memory(cuda):
    raw = ctypes.CDLL(os.environ["FLASH_CUDA_DRIVER"])
    memory = driver.Memory(driver.device(0), 64)
    cuda("cuMemsetD8_v2", memory.address, 7, 64)
    bits = np.empty(64, np.uint8)
    memory.read(bits)
    assert (bits == 7).all()
    # Past the end, and what was never allocated.
    assert raw.cuMemsetD8_v2(c_uint64(memory.address), 7, c_size_t(65)) == 1
    assert raw.cuMemFree_v2(c_uint64(12345)) == 1


def test_machine_code_is_not_for_it(cuda):
    with pytest.raises(flash.CudaError, match="CUDA_ERROR_NO_BINARY_FOR_GPU") as error:
        cuda("cuModuleLoadDataEx", byref(c_void_p()), b"\x7fELF" + bytes(60), 0, None, None)
    assert error.value.code == driver.NO_BINARY_FOR_GPU


def test_uses_without_a_context():
    raw = ctypes.CDLL(os.environ["FLASH_CUDA_DRIVER"])
    codes = []
    thread = threading.Thread(
        target=lambda: codes.append(raw.cuMemAlloc_v2(byref(c_uint64()), c_size_t(4)))
    )
    thread.start()
    thread.join()
    assert codes == [201]  # CUDA_ERROR_INVALID_CONTEXT


def test_large_shared_memory_must_be_asked_for(cuda, module, capfd):
    handle = function(cuda, module, b"rank")
    x = flash.DeviceArray((8,), "u32")
    shape = LaunchShape((1, 1, 1), (32, 1, 1), (1, 1, 1), 60000)
    launch = driver.PreparedLaunch(
        driver.device(0), handle, shape, x.memory.address.to_bytes(8, "little")
    )
    with pytest.raises(flash.CudaError, match="CUDA_ERROR_INVALID_VALUE"):
        launch.start(0)
    assert "CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES" in capfd.readouterr().err
    cuda("cuFuncSetAttribute", handle, driver.MAX_DYNAMIC_SHARED_SIZE_BYTES, 60000)
    launch.start(0)
    with pytest.raises(flash.CudaError, match="CUDA_ERROR_INVALID_VALUE"):
        cuda("cuFuncSetAttribute", handle, driver.MAX_DYNAMIC_SHARED_SIZE_BYTES, 300000)


@pytest.mark.parametrize(
    "count, error, report",
    [
        # 40 elements in memory of 39; 39 of which the last was never written.
        (40, "CUDA_ERROR_ILLEGAL_ADDRESS", "out-of-bounds"),
        (39, "CUDA_ERROR_LAUNCH_FAILED", "uninitialised"),
    ],
)
def test_findings_fail_the_launch(cuda, module, capfd, count, error, report):
    x = flash.DeviceArray((39,), "f32")
    x.memory.write(np.ones(38 if count == 39 else 39, np.float32))
    shape = LaunchShape((2, 1, 1), (32, 1, 1), (1, 1, 1), 0)
    packed = x.memory.address.to_bytes(8, "little") + np.float32(2).tobytes()
    packed += count.to_bytes(4, "little")
    launch = driver.PreparedLaunch(
        driver.device(0), function(cuda, module, b"scale"), shape, packed
    )
    with pytest.raises(flash.CudaError, match=error):
        launch.start(0)
    assert report in capfd.readouterr().err


def test_use_after_free(cuda, module, capfd):
    x = flash.DeviceArray.from_numpy(np.ones(32, np.float32), "f32")
    packed = (
        x.memory.address.to_bytes(8, "little")
        + np.float32(2).tobytes()
        + (32).to_bytes(4, "little")
    )
    shape = LaunchShape((1, 1, 1), (32, 1, 1), (1, 1, 1), 0)
    launch = driver.PreparedLaunch(
        driver.device(0), function(cuda, module, b"scale"), shape, packed
    )
    launch.start(0)
    del x
    with pytest.raises(flash.CudaError, match="CUDA_ERROR_ILLEGAL_ADDRESS"):
        launch.start(0)
    assert "out-of-bounds" in capfd.readouterr().err


def test_deadlocks_time_out(cuda, capfd):
    waits = b"""
.version 7.8
.target sm_90
.address_size 64
.visible .entry wait() { bar.sync 0, 64; ret; }
"""
    handle = c_void_p()
    cuda("cuModuleLoadDataEx", byref(handle), waits, 0, None, None)
    shape = LaunchShape((1, 1, 1), (32, 1, 1), (1, 1, 1), 0)
    launch = driver.PreparedLaunch(driver.device(0), function(cuda, handle, b"wait"), shape, b"")
    with pytest.raises(flash.CudaError, match="cuLaunchKernel: CUDA_ERROR_LAUNCH_TIMEOUT"):
        launch.start(0)
    assert "deadlock" in capfd.readouterr().err
    cuda("cuModuleUnload", handle)


def test_found_by_the_loaders_path(package):
    """Without FLASH_CUDA_DRIVER, by CUDA's own file name."""
    program = (
        "import numpy, flash\n"
        "q = numpy.zeros((1, 2, 5, 40), numpy.uint16)\n"
        f"flash.load({str(package(OPEN))!r})(q, q[:, :1], q[:, :1])\n"
        "print(flash.driver.device(0).name)\n"
    )
    output = run(
        sys.executable,
        "-c",
        program,
        FLASH_CUDA_DRIVER="",
        LD_LIBRARY_PATH=str(BUILD / "lib" / "emulated-driver"),
    )
    assert output == "Flash emulator of sm_90\n"
