# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times by events, all contenders interleaved in one run."""

import itertools
import statistics

from ..driver import Event


def measure(contenders, device, warm_up, repeats, progress):
    """Milliseconds of each contender, by name, one list of `repeats` each.

    Every round runs each contender once, each round beginning with another one:
    what the clocks do in the course of the run, and what one leaves to the next,
    hits all alike. Every call takes the next set of inputs, so that none finds
    its own in the cache.
    """
    calls = itertools.count()
    for _ in range(warm_up):
        for contender in contenders:
            contender.run(next(calls))
    device.synchronize()
    times = {contender.name: [] for contender in contenders}
    events = {contender.name: (Event(device), Event(device)) for contender in contenders}
    for i in progress(range(repeats), "timing"):
        first = i % len(contenders)
        if not device.is_emulated:
            # Something to be busy with, or the first one's time would be that
            # of launching it.
            contenders[first - 1].run(next(calls))
        for contender in contenders[first:] + contenders[:first]:
            start, end = events[contender.name]
            start.record()
            contender.run(next(calls))
            end.record()
        for name, (start, end) in events.items():
            end.synchronize()
            times[name].append(end.milliseconds_since(start))
    return times


def summarise(times, flops):
    """median, minimum and TFLOP/s of one contender's times."""
    median = statistics.median(times)
    return {
        "median_ms": median,
        "min_ms": min(times),
        "repeats": len(times),
        "tflops": flops / median * 1e-9,
    }
