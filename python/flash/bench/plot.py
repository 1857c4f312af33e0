# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A picture of a run: throughput and, where it was measured, energy per call."""


def plot(result, path):
    """Writes the picture; needs matplotlib. One row of bars per problem."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    entries = result["kernels"] + result["references"]
    problems = list(dict.fromkeys(entry["problem"] for entry in entries))
    weighed = any(entry["energy_j"] is not None for entry in entries)
    columns = 2 if weighed else 1
    figure, axes = pyplot.subplots(
        len(problems), columns, figsize=(7 * columns, 3.5 * len(problems)), squeeze=False
    )
    for row, problem in zip(axes, problems):
        shown = [entry for entry in entries if entry["problem"] == problem]
        names = [entry["name"] for entry in shown]
        colours = ["tab:green" if entry["level"] is not None else "tab:grey" for entry in shown]
        row[0].barh(names, [entry["tflops"] for entry in shown], color=colours)
        row[0].set_xlabel("TFLOP/s" + (", emulated" if result["emulated"] else ""))
        row[0].set_title(problem, fontsize=8)
        if weighed:
            joules = [entry["energy_j"] or 0 for entry in shown]
            row[1].barh(names, joules, color=colours)
            row[1].set_xlabel("joules per call, whole board")
        for axis in row:
            axis.invert_yaxis()
    figure.suptitle(result["board"])
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
