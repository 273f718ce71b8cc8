"""The runs as a table in Markdown, as JSON, and as plots where matplotlib is installed."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Sequence
from pathlib import Path

from benchmarks.search.bootstrap import Interval
from benchmarks.search.outcome import Outcome
from benchmarks.search.summary import YARDSTICK, Reached, Searched, Summary, paired, reached, summaries

NAME = "search"
WITH_RUNGS, WITHOUT_RUNGS = "paretune", ("bayes", "paretune-sampler")
"""The first is held to the cost at which it reaches others' results, the latter to what they have at equal cost."""
SHARES = (0.125, 0.25, 0.5, 1.0)


def write_report(outcomes: Sequence[Outcome], folder: Path) -> None:
    """`search.md`, `search.json` and `search_<problem>.png` in `folder`."""
    found = summaries(outcomes)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{NAME}.md").write_text("\n".join(line for summary in found for line in _section(summary)) + "\n")
    content = {
        "what": "hypervolume (values) of each search's chosen set from each cost on (costs, in full evaluations)",
        "runs": [outcome.as_json() for summary in found for each in summary.searched for outcome in each.outcomes],
    }
    (folder / f"{NAME}.json").write_text(json.dumps(content) + "\n")
    if importlib.util.find_spec("matplotlib") is not None:
        from benchmarks.search.plot import plot

        for summary in found:
            plot(summary, folder / f"{NAME}_{summary.problem}_{summary.workers}.png")


def _section(summary: Summary) -> list[str]:
    seeds = max(len(each.outcomes) for each in summary.searched)
    known = "" if summary.best is None else f"; the best there can be is {summary.best:.4g}"
    lines = [
        f"## {summary.problem}, {summary.worker_words}",
        "",
        f"Up to {seeds} paired seeds. Hypervolume of the chosen set as it is scored{known}. Costs in full evaluations.",
        "",
        "| search | seeds | cost | hypervolume [95%] | processor seconds a suggestion |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {each.name} | {len(each.outcomes)} | {each.covers:.0f} | {each.final:.4g} {_bounds(each.final_interval)} "
        f"| {each.thinking:.2g} |"
        for each in summary.searched
    ]
    lines.append("")
    if summary.opponents:
        for ours in summary.ours:
            lines += [*_compared(summary, ours), *_bars(summary, ours)]
    return lines


def _compared(summary: Summary, ours: Searched) -> list[str]:
    columns = " | ".join(f"at {share:g}" for share in SHARES)
    lines = [
        f"`{ours.name}` against each: mean paired difference of the hypervolume [95%] at shares of the cost that both",
        "cover, bold where the interval excludes 0; and the share of the other's own cost at which it reaches what the",
        "other has at its end.",
        "",
        f"| against | {columns} | reaches its end at |",
        f"|---|{'---|' * len(SHARES)}---|",
    ]
    others = [each for each in summary.searched if each.name != ours.name]
    for other in others:
        cells = []
        for share in SHARES:
            pair = paired(ours, other, share)
            if pair is None:
                cells.append("too few seeds")
                continue
            text = f"{pair.difference:+.4f}"
            cells.append(f"{f'**{text}**' if pair.significant else text} {_bounds(pair.interval, '+.4f')}")
        lines.append(f"| {other.name} | {' | '.join(cells)} | {_reached(reached(ours, other))} |")
    return [*lines, ""]


def _bars(summary: Summary, ours: Searched) -> list[str]:
    """The sentences that a search is held to."""
    if ours.name == WITH_RUNGS:
        return [*_cost_bars(summary, ours), ""]
    return [_equal_cost_bar(summary, ours), ""] if ours.name in WITHOUT_RUNGS else []


def _cost_bars(summary: Summary, ours: Searched) -> list[str]:
    lines = []
    yardstick = next((each for each in summary.searched if each.name == YARDSTICK), None)
    if yardstick is not None:
        found = reached(ours, yardstick)
        lines.append(
            f"- Share of its cost at which {YARDSTICK}'s hypervolume after {yardstick.covers:.0f} full evaluations is "
            f"reached (bar: 0.125): {_reached(found)}."
        )
    best = max(summary.opponents, key=lambda each: each.final)
    lines.append(
        f"- Share of its cost at which the best opponent's ({best.name}) final hypervolume is reached (bar: 0.5): "
        f"{_reached(reached(ours, best))}."
    )
    return lines


def _equal_cost_bar(summary: Summary, ours: Searched) -> str:
    pairs = {each.name: pair for each in summary.opponents if (pair := paired(ours, each)) is not None}
    if not pairs:
        return "- Without rungs, at equal cost (bar: not significantly worse): too few seeds."
    name, least = min(pairs.items(), key=lambda pair: pair[1].difference)
    return (
        f"- Without rungs, at all of the cost that both cover, less the opponent for which that is least ({name}; bar: "
        f"not significantly worse): {least.difference:+.4f} {_bounds(least.interval, '+.4f')}."
    )


def _reached(found: Reached | None) -> str:
    if found is None:
        return "too few seeds"
    return f"{_number(found.share)} [{_number(found.interval[0])}, {_number(found.interval[1])}]"


def _number(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.3f}"


def _bounds(bounds: Interval, form: str = ".4g") -> str:
    return f"[{bounds[0]:{form}}, {bounds[1]:{form}}]"
