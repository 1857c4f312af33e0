# The unit tests as lit sees them: every executable below build/test/Unit whose
# name ends in "Tests"; each GoogleTest case counts as one test.

import os

import lit.formats

config.name = "Flash-Unit"
config.suffixes = []
config.test_source_root = os.path.join(config.flash_binary_root, "test", "Unit")
config.test_exec_root = config.test_source_root


class BuiltTests(lit.formats.GoogleTest):
    """Leaves out executables of targets that the build no longer has."""

    def getTestsInDirectory(self, suite, path, litConfig, localConfig):
        for test in super().getTestsInDirectory(suite, path, litConfig, localConfig):
            if set(test.path_in_suite) & set(config.flash_unit_tests):
                yield test


config.test_format = BuiltTests(".", "Tests")
for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "HOME", "TMPDIR"):
    if name in os.environ:
        config.environment[name] = os.environ[name]
