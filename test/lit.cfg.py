# Configuration of the Flash test suite.
#
# Tests are .mlir, .ptx, .test and .py files with RUN lines. Features that a
# test may REQUIRE:
#   ptxas     CUDA's assembler, by CUDA_HOME, PATH or /usr/local/cuda
#   nvcc      CUDA's compiler, found the same way
#   cuda-gpu  a GPU that the driver answers for
#   numpy     the Python of %python can import numpy
#   sanitize  Flash's own code is built with ASan and UBSan
#   tool-NAME the tool NAME is built (for example tool-flash-run)
# A test whose features are missing is reported as UNSUPPORTED, never as passed.
#
# Substitutions: the tools of Flash and LLVM by name, and
#   %python   a Python 3      %ptxas, %nvcc  CUDA's tools, when found
#   %cuda_include             CUDA's headers, where nvcc is found
#   %flash_src, %flash_build  the source and the build tree
#   %emulated_driver          a CUDA driver on the emulator
#   %llvm_tools, %llvm_libs   LLVM's bin and lib directories
#   %cmake, %cxx              as the build was configured

import os
import shutil
import subprocess
import sys

import lit.formats
from lit.llvm import llvm_config
from lit.llvm.subst import ToolSubst

config.name = "Flash"
config.test_format = lit.formats.ShTest(not llvm_config.use_lit_shell)
config.suffixes = [".mlir", ".ptx", ".test", ".py"]
config.excludes = [
    "Inputs",
    "Unit",  # a suite of its own: lit.cfg.py there
    "CMakeLists.txt",
    "lit.cfg.py",
    "lit.site.cfg.py",
    "lit.local.cfg",
]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.flash_binary_root, "test")

llvm_config.with_system_environment(
    ["HOME", "TMPDIR", "CUDA_HOME", "CCACHE_DIR", "ASAN_OPTIONS", "UBSAN_OPTIONS"]
)
llvm_config.with_environment("PATH", config.llvm_tools_dir, append_path=True)


def find_cuda_tool(name):
    """CUDA_HOME first, then PATH, then the usual place."""
    home = os.environ.get("CUDA_HOME")
    candidates = [os.path.join(home, "bin", name)] if home else []
    candidates += [shutil.which(name), os.path.join("/usr/local/cuda/bin", name)]
    for path in candidates:
        if path and os.access(path, os.X_OK):
            return path
    return None


def runs(*command):
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() != b""


for cuda_tool in ("ptxas", "nvcc"):
    path = find_cuda_tool(cuda_tool)
    if path:
        config.available_features.add(cuda_tool)
        config.substitutions.append(("%" + cuda_tool, path))
        if cuda_tool == "nvcc":
            root = os.path.dirname(os.path.dirname(os.path.realpath(path)))
            config.substitutions.append(("%cuda_include", os.path.join(root, "include")))

if shutil.which("nvidia-smi") and runs("nvidia-smi", "-L"):
    config.available_features.add("cuda-gpu")
if config.flash_sanitize:
    config.available_features.add("sanitize")

# Debian's Python is the one that python3-numpy belongs to, so it is preferred
# over another one that happens to come first in PATH.
pythons = ["/usr/bin/python3", config.python_executable, sys.executable]
pythons = [p for p in pythons if p and os.access(p, os.X_OK)]
with_numpy = [p for p in pythons if runs(p, "-c", "import numpy; print(1)")]
if with_numpy:
    config.available_features.add("numpy")
config.substitutions += [
    ("%python", (with_numpy or pythons)[0]),
    ("%flash_src", config.flash_source_root),
    ("%flash_build", config.flash_binary_root),
    (
        "%emulated_driver",
        os.path.join(config.flash_lib_dir, "emulated-driver", "libcuda.so.1"),
    ),
    ("%llvm_tools", config.llvm_tools_dir),
    ("%llvm_libs", config.llvm_lib_dir),
    ("%cmake", config.cmake_command),
    ("%cxx", config.cxx_compiler),
]

# A tool that the build does not have is no error here: only the tests that
# name it fail.
flash_tools = [
    "flash-opt",
    "flashc",
    "flash-run",
    "flash-emulate",
    "flash-ladder",
    "flash-lsp-server",
    "flash-fuzz",
    "flash-ptx-fuzz",
]
for tool in flash_tools:
    if os.access(os.path.join(config.flash_tools_dir, tool), os.X_OK):
        config.available_features.add("tool-" + tool)
llvm_tools = ["FileCheck", "not", "count", "split-file", "mlir-opt", "mlir-translate"]
llvm_config.add_tool_substitutions(
    [ToolSubst(tool, unresolved="ignore") for tool in flash_tools + llvm_tools],
    [config.flash_tools_dir, config.llvm_tools_dir],
)

# No test hangs the suite. lit needs psutil to kill a test's whole process tree.
try:
    import psutil  # noqa: F401

    lit_config.maxIndividualTestTime = 900
except ImportError:
    pass
