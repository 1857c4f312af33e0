"""Arrays for run.test, and the check of what came out."""

import json
import struct
import sys

import numpy as np

what, where = sys.argv[1], sys.argv[2]
x = np.arange(1000, dtype=np.float32) / 8
y = np.arange(1000, dtype=np.float32)[::-1].copy()
tensor = np.arange(5000, dtype=np.float32).reshape(50, 100) / 4 - 300
ints = (np.arange(512, dtype=np.int32) * 37) % 101

if what == "make":
    np.save(where + "/x.npy", x)
    np.save(where + "/y.npy", y)
    np.save(where + "/ints.npy", ints)
    np.save(where + "/pointers.npy", np.zeros(2, dtype=np.int64))
    entries = struct.pack("<q40i5h6x", -1, *range(40), *range(100, 105))
    open(where + "/table.bin", "wb").write(entries)
    np.save(where + "/tensor.npy", tensor)
    np.save(where + "/tiles.npy", np.full((50, 100), -1, dtype=np.float32))
    open(where + "/struct.bin", "wb").write(bytes(256))
elif what == "tiles":
    expected = np.full((50, 100), -1, dtype=np.float32)
    expected[:45, :91] = 2 * tensor[:45, :91] + 1
    np.testing.assert_array_equal(np.load(where + "/tiles.npy"), expected)
elif what == "box":
    expected = np.zeros((8, 16), dtype=np.float32)
    expected[:, :5] = tensor[7:15, 95:100]
    np.testing.assert_array_equal(np.load(where + "/box.npy"), expected)
elif what == "axpy":
    np.testing.assert_array_equal(np.load(where + "/y.npy"), np.float32(2.5) * x + y)
elif what == "scan":
    np.testing.assert_array_equal(np.load(where + "/scan.npy"), np.cumsum(ints[256:]))
elif what == "table":
    i = np.arange(64)
    np.testing.assert_array_equal(np.load(where + "/table.npy"), i * 7 % 40 + 100 + i % 5)
elif what == "pointed":
    i = np.arange(64)
    np.testing.assert_array_equal(np.load(where + "/pointed.npy"), ints[i + 256 * (i & 1)])
elif what == "json":
    report = json.load(open(where))
    assert report["pass"] == (sys.argv[3] == "true"), report
    assert isinstance(report["races"], int) and isinstance(report["deadlock"], bool)
    assert isinstance(report["errors"], list) and "counters" in report
    assert bool(report["errors"]) != report["pass"]
    for key in ("max_abs_err", "tolerance", "max_row_rel_err", "lse_max_abs_err"):
        assert key in report
else:
    sys.exit("unknown check " + what)
