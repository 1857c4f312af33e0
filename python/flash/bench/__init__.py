# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks packages, times them beside torch's attention, and weighs their energy.

    python -m flash.bench PACKAGE... [--sizes b=1,sq=4096,sk=4096]... [--json FILE]

docs/Packages.md describes the method and the JSON.
"""
