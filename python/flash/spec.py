# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The SPEC of an attention, as manifests record it.

Manifests hold it in canonical form, so nothing is defaulted here but what that
form leaves out; include/flash/Runtime/AttentionSpec.h describes the keys.
"""

from dataclasses import dataclass
from typing import Optional, Tuple

from .errors import PackageError

SIZES = ("b", "hq", "hkv", "sq", "sk", "d", "dv")


@dataclass
class Spec:
    """One attention; a size of None is known only at run time."""

    text: str
    sizes: dict
    group: int
    dtype: str
    mask: str = "none"
    window: Optional[Tuple[int, int]] = None
    prefix: Optional[int] = None
    chunk: Optional[int] = None
    sink: Optional[int] = None
    softcap: Optional[float] = None
    scale: Optional[float] = None
    alibi: bool = False
    layout: str = "bhsd"

    @property
    def effective_scale(self):
        return self.sizes["d"] ** -0.5 if self.scale is None else self.scale

    @property
    def output_dtype(self):
        """Of o: the inputs', but f32 for tf32, whose arrays are f32, and bf16 for 8 bits."""
        return {"tf32": "f32", "e4m3": "bf16", "e5m2": "bf16"}.get(self.dtype, self.dtype)

    @property
    def has_descales(self):
        """Whether q, k and v stand for their elements times a scale per head."""
        return self.dtype in ("e4m3", "e5m2")

    @property
    def is_plain(self):
        """Whether nothing but a causal mask is asked for."""
        return (
            self.window is self.prefix is self.chunk is self.sink is self.softcap is None
            and not self.alibi
        )


def parse(text):
    """Reads a SPEC."""
    items = dict.fromkeys(())
    for item in filter(None, (part.strip() for part in text.replace(" ", ",").split(","))):
        key, _, value = item.partition("=")
        items[key] = value
    try:
        return _build(text, items)
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise PackageError(f"attention: expected a SPEC, got '{text}': {error}") from None


def _build(text, items):
    def size(key, default=None):
        value = items.pop(key, default)
        if value is None:
            raise ValueError(f"{key} is missing")
        return None if value == "?" else int(value)

    def number(key, kind):
        return kind(items.pop(key)) if key in items else None

    hq = size("hq", "1")
    shared = items.pop("hkv", "hq")
    if shared.startswith("hq"):
        group = int(shared[3:] or 1)
        hkv = None if hq is None else hq // group
    else:
        hkv = int(shared)
        group = hq // hkv
    sizes = {"b": size("b", "1"), "hq": hq, "hkv": hkv, "sq": size("sq"), "sk": size("sk")}
    sizes["d"] = size("d")
    sizes["dv"] = size("dv", str(sizes["d"]))
    window = items.pop("window", None)
    spec = Spec(
        text=text,
        sizes=sizes,
        group=group,
        dtype=items.pop("dtype"),
        mask=items.pop("mask", "none"),
        window=None if window is None else tuple(int(side) for side in window.split(":")),
        prefix=number("prefix", int),
        chunk=number("chunk", int),
        sink=number("sink", int),
        softcap=number("softcap", float),
        scale=number("scale", float),
        alibi=items.pop("alibi", None) is not None,
        layout=items.pop("layout", "bhsd"),
    )
    items.pop("lse", None)
    if items:
        raise ValueError(f"unknown key {sorted(items)[0]}")
    return spec
