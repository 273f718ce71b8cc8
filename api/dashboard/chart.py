"""A chart that is updated by its traces: the figure is sent once, later only what changed in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from nicegui import ui

from api.dashboard.axes import Axis
from api.dashboard.palette import CONFIG

Trace = dict[str, Any]


class Chart:
    """One Plotly chart with a fixed number of traces."""

    def __init__(self, traces: list[Trace], layout: dict[str, Any], label: str) -> None:
        self._traces = traces
        self._layout = layout
        self.element = ui.plotly({"data": traces, "layout": layout, "config": CONFIG}).classes("chart")
        self.element.props["role"] = "img"
        self.element.props["aria-label"] = label
        self._drawn = False
        self.element.on("plotly_afterplot", self._is_drawn, args=[], throttle=5.0)

    def _is_drawn(self) -> None:
        self._drawn = True

    def update(self, traces: list[Trace], layout: dict[str, Any] | None = None) -> None:
        """Show `traces`, as many as before; only the fields that differ are sent.

        `layout`: values by path ("xaxis.range"), as Plotly's relayout takes them.
        """
        restyled: list[tuple[int, dict[str, Any]]] = []
        for index, (held, new) in enumerate(zip(self._traces, traces, strict=True)):
            before, after = _flat(held), _flat(new)
            changed = {path: [value] for path, value in after.items() if not _same(before.get(path), value)}
            if changed:
                # What the server holds is what a browser that connects again is given.
                held.update(new)
                restyled.append((index, changed))
        moved = {path: value for path, value in (layout or {}).items() if not _same(_at(self._layout, path), value)}
        for path, value in moved.items():
            _put(self._layout, path, value)
        if not self._drawn:
            # The browser has yet to load its drawing code, and drops calls to it until then.
            self.element.update()
            return
        for index, changed in restyled:
            self.element.run_plot_method("restyle", changed, [index])
        if moved:
            self.element.run_plot_method("relayout", moved)


def error_bars(axis: Axis, values: Sequence[float], bounds: Sequence[tuple[float, float] | None], colour: str) -> Trace:
    """A trace's `error_y`: from each value to its `bounds`, as far as `axis` draws them apart; no bar where None.

    `values` and `bounds` are in the metric's own units and as many as the trace has points.
    """
    places = axis.positions(values)
    pairs = list(zip(values, bounds, strict=True))
    return {
        "type": "data",
        "symmetric": False,
        "array": axis.positions([ends[1] if ends else value for value, ends in pairs]) - places,
        "arrayminus": places - axis.positions([ends[0] if ends else value for value, ends in pairs]),
        "color": colour,
        "thickness": 1.2,
        "width": 3,
        "visible": any(bounds),
    }


def _flat(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested fields by their dotted paths."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return one is not None and other is not None and np.array_equal(one, other)
    return bool(one == other)


def _at(fields: dict[str, Any], path: str) -> Any:
    value: Any = fields
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _put(fields: dict[str, Any], path: str, value: Any) -> None:
    *outer, last = path.split(".")
    for part in outer:
        fields = fields.setdefault(part, {})
    fields[last] = value
