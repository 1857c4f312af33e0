# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""manifest.json: how to launch a kernel.

include/flash/Runtime/Manifest.h describes every member.
"""

import json
import os
from dataclasses import dataclass, field
from typing import List, Optional

from . import spec as spec_
from .errors import PackageError
from .expression import evaluate

VERSIONS = (1, 2)
KINDS = ("pointer", "i32", "i64", "f32")


@dataclass
class Parameter:
    name: str
    kind: str
    role: str
    dtype: Optional[str] = None
    rank: int = 0
    align: int = 1
    row_align: int = 1
    unit_inner_stride: bool = False
    shape: Optional[List[str]] = None
    of: Optional[str] = None
    dim: int = 0
    value: float = 1.0
    positive: bool = False


@dataclass
class Launch:
    """One kernel and the shape of its launch, as expressions."""

    entry: str
    parameters: List[str]
    grid: List[str]
    block: List[str]
    cluster: List[str]
    dynamic_shared_bytes: int


@dataclass
class LaunchShape:
    grid: tuple
    block: tuple
    cluster: tuple
    dynamic_shared_bytes: int


@dataclass
class Manifest:
    chip: str
    attention: str
    parameters: List[Parameter]
    launches: List[Launch]
    workspace_bytes: str
    files: dict
    schedule: dict
    versions: dict
    by_name: dict = field(default_factory=dict)
    spec: Optional[spec_.Spec] = None

    @property
    def level(self):
        """The level of the ladder, or None where the schedule names none."""
        level = self.schedule.get("level", "")
        return int(level) if level.isdigit() else None


def _member(json_object, where, name, kinds, default=None):
    if name not in json_object and default is not None:
        return default
    if not isinstance(json_object, dict) or name not in json_object:
        raise PackageError(f"{where}: missing member '{name}'")
    value = json_object[name]
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is int):
        expected = kinds.__name__ if isinstance(kinds, type) else "number"
        raise PackageError(f"{where}: {name}: expected {expected}, got {value!r:.40}")
    return value


def _parameter(entry, where):
    kind = _member(entry, where, "kind", str)
    if kind not in KINDS:
        raise PackageError(f"{where}: kind: expected one of {', '.join(KINDS)}, got '{kind}'")
    parameter = Parameter(
        name=_member(entry, where, "name", str), kind=kind, role=_member(entry, where, "role", str)
    )
    if kind == "pointer":
        parameter.dtype = _member(entry, where, "dtype", str)
        parameter.rank = _member(entry, where, "rank", int)
        parameter.align = _member(entry, where, "align", int)
        parameter.row_align = _member(entry, where, "row_align", int)
        parameter.unit_inner_stride = _member(entry, where, "unit_inner_stride", bool)
        if "shape" in entry:
            parameter.shape = _member(entry, where, "shape", list)
    if parameter.role in ("stride", "extent"):
        parameter.of = _member(entry, where, "of", str)
        parameter.dim = _member(entry, where, "dim", int)
    if parameter.role == "scale":
        parameter.value = float(_member(entry, where, "value", (int, float)))
        parameter.positive = _member(entry, where, "positive", bool)
    return parameter


def _launch(entry, where, name, shared, parameters):
    return Launch(
        entry=name,
        parameters=parameters,
        dynamic_shared_bytes=shared,
        **{key: _member(entry, where, key, list) for key in ("grid", "block", "cluster")},
    )


def parse(text):
    """Reads a manifest's text."""
    try:
        root = json.loads(text)
    except ValueError as error:
        raise PackageError(f"manifest: expected well-formed JSON: {error}") from None
    version = _member(root, "manifest", "version", int)
    if version not in VERSIONS:
        raise PackageError(
            f"manifest: version: expected one of {', '.join(map(str, VERSIONS))}, got {version}"
        )
    parameters = [
        _parameter(entry, f"manifest parameter {i}")
        for i, entry in enumerate(_member(root, "manifest", "parameters", list))
    ]
    by_name = {parameter.name: parameter for parameter in parameters}
    for parameter in parameters:
        if parameter.role in ("stride", "extent") and parameter.of not in by_name:
            raise PackageError(
                f"manifest parameter '{parameter.name}': of: expected the name of a pointer, "
                f"got '{parameter.of}'"
            )
    launches = []
    if version > 1:
        for i, entry in enumerate(_member(root, "manifest", "before", list)):
            where = f"manifest launch {i}"
            launches.append(
                _launch(
                    entry,
                    where,
                    _member(entry, where, "entry", str),
                    _member(entry, where, "dynamic_shared_bytes", int),
                    _member(entry, where, "parameters", list),
                )
            )
    last = _member(root, "manifest", "launch", dict)
    launches.append(
        _launch(
            last,
            "manifest launch",
            _member(root, "manifest", "entry", str),
            _member(root, "manifest", "dynamic_shared_bytes", int),
            _member(last, "manifest launch", "parameters", list, list(by_name)),
        )
    )
    for launch in launches:
        for name in launch.parameters:
            if name not in by_name:
                raise PackageError(
                    f"manifest launch of '{launch.entry}': expected names of parameters, "
                    f"got '{name}'"
                )
    files = _member(root, "manifest", "files", dict, {})
    for name in files.values():
        if not isinstance(name, str) or os.path.basename(name) != name or name in ("", ".", ".."):
            raise PackageError(
                f"manifest: files: expected the name of a file beside the manifest, got {name!r}"
            )
    attention = _member(root, "manifest", "attention", str)
    return Manifest(
        chip=_member(root, "manifest", "chip", str),
        attention=attention,
        parameters=parameters,
        launches=launches,
        workspace_bytes=_member(root, "manifest", "workspace_bytes", str),
        files=files,
        schedule=_member(root, "manifest", "schedule", dict),
        versions=_member(root, "manifest", "versions", dict),
        by_name=by_name,
        spec=spec_.parse(attention) if attention else None,
    )


_LIMITS = {
    "grid": ((1 << 31) - 1, 65535, 65535),
    "block": (1024, 1024, 64),
    "cluster": (16, 16, 16),
}


def launch_shape(launch, sizes):
    """Evaluates a launch's expressions; refuses what CUDA's limits do."""
    shape = {}
    for what, limits in _LIMITS.items():
        extents = tuple(evaluate(text, sizes) for text in getattr(launch, what))
        for axis, extent, limit in zip("xyz", extents, limits):
            if not 1 <= extent <= limit:
                raise PackageError(f"{what} {axis}: expected 1 to {limit}, got {extent}")
        shape[what] = extents
    return LaunchShape(dynamic_shared_bytes=launch.dynamic_shared_bytes, **shape)
