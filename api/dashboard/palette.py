"""Colours and the common layout of the charts: mid-tones that read on light and dark alike."""

from __future__ import annotations

from typing import Any

ACCENT = "#5665e3"
ACCENT_FAINT = "rgba(86, 101, 227, 0.55)"
BASELINE = "#d9822b"
FAINT = "rgba(128, 138, 152, 0.55)"
INK = "#7d8796"
GRID = "rgba(128, 138, 152, 0.16)"
SERIES = (ACCENT, "#2c9c8f", BASELINE, "#a35bc7", "#5b8c3e", "#c2526f")

CONFIG: dict[str, Any] = {"displayModeBar": False, "responsive": True, "doubleClick": "reset"}


def axis_layout(**more: Any) -> dict[str, Any]:
    return {
        "gridcolor": GRID,
        "zeroline": False,
        "showline": True,
        "linecolor": GRID,
        "ticks": "outside",
        "tickcolor": GRID,
        "automargin": True,
        "title": {"standoff": 12},
        **more,
    }


def layout(height: int, **more: Any) -> dict[str, Any]:
    return {
        "height": height,
        "margin": {"l": 74, "r": 20, "t": 12, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "Roboto, system-ui, sans-serif", "size": 12.5, "color": INK},
        "hoverlabel": {"bgcolor": "#1f2733", "bordercolor": "#1f2733", "font": {"color": "#f4f6f8"}, "align": "left"},
        "hovermode": "closest",
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"},
        **more,
    }
