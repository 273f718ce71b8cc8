"""Mean hypervolume against cost, with the 95% interval of the mean."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

from benchmarks.search.bootstrap import mean_interval
from benchmarks.search.curve import mean_at
from benchmarks.search.opponents import NAMES
from benchmarks.search.summary import OURS, Summary

matplotlib.use("Agg")
ORDER = (*OURS, *(name for name in NAMES if name not in OURS))
"""By place in it every search has one colour, whatever the problem; the first ones are the strongest."""
POINTS = 120
BEGUN = 1 / 16
"""Of the longest search: what lies below every mean there is left out."""


def plot(summary: Summary, path: Path) -> None:
    from matplotlib import pyplot

    colours = (*pyplot.get_cmap("tab10").colors, *pyplot.get_cmap("tab20").colors[1::2])
    figure, axes = pyplot.subplots(figsize=(8, 5))
    for each in summary.searched:
        costs = np.linspace(0, each.covers, POINTS)
        values = np.array([[curve.at(cost) for cost in costs] for curve in each.curves])
        bounds = np.array([mean_interval(column) for column in values.T.tolist()])
        colour = colours[ORDER.index(each.name)]
        width = 2.2 if each.name in OURS else 1.2
        axes.plot(costs, values.mean(axis=0), label=each.name, linewidth=width, color=colour)
        axes.fill_between(costs, bounds[:, 0], bounds[:, 1], alpha=0.12, color=colour)
    if summary.best is not None:
        axes.axhline(summary.best, color="grey", linestyle=":", linewidth=1, label="best known")
    axes.set_xlabel("cost, in full evaluations")
    axes.set_ylabel("hypervolume of the chosen set")
    axes.set_title(f"{summary.problem}, {summary.worker_words}")
    begun = BEGUN * max(each.covers for each in summary.searched)
    axes.set_ylim(bottom=min(mean_at(each.curves, begun) for each in summary.searched))
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
