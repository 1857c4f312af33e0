# The unit tests as lit sees them: every executable below build/test/Unit whose
# name ends in "Tests"; each GoogleTest case counts as one test.

import os

import lit.formats

config.name = "Flash-Unit"
config.suffixes = []
config.test_source_root = os.path.join(config.flash_binary_root, "test", "Unit")
config.test_exec_root = config.test_source_root

# Executables of targets that the build no longer has would be run for ever.
for directory, _, names in os.walk(config.test_exec_root):
    for name in names:
        if name.endswith("Tests") and name not in config.flash_unit_tests:
            os.remove(os.path.join(directory, name))

config.test_format = lit.formats.GoogleTest(".", "Tests")
for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "HOME", "TMPDIR"):
    if name in os.environ:
        config.environment[name] = os.environ[name]
