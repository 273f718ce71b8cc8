"""Small pieces of every page: headings, chips, figures, tables of plain HTML with what they hold escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.button import Button
from nicegui.elements.html import Html

STATE_WORDS = {"pruned": "left early"}


def heading(level: int, text: str) -> Html:
    return ui.html(escape(text), tag=f"h{level}", sanitize=False)


def text(content: str, classes: str = "", tag: str = "div") -> Html:
    return ui.html(escape(content), tag=tag, sanitize=False).classes(classes)


def say(element: Html, content: str) -> None:
    """Change what a `text` says."""
    element.content = escape(content)


def markup(content: str, classes: str = "", tag: str = "div") -> Html:
    """HTML whose values the caller has escaped."""
    return ui.html(content, tag=tag, sanitize=False).classes(classes)


def chip(state: str) -> str:
    """A state as HTML: a dot and its word."""
    return f'<span class="chip {escape(state)}">{escape(STATE_WORDS.get(state, state))}</span>'


def figures(items: Iterable[tuple[str, str, str]]) -> str:
    """Key figures as HTML: (what, value, remark)."""

    def cell(what: str, value: str, remark: str) -> str:
        small = f" <small>{escape(remark)}</small>" if remark else ""
        return f"<div><dt>{escape(what)}</dt><dd>{escape(value)}{small}</dd></div>"

    cells = "".join(cell(*item) for item in items)
    return f'<dl class="figures">{cells}</dl>'


def progress_bar(share: float, label: str) -> str:
    percent = round(100 * min(1.0, max(0.0, share)))
    return (
        f'<div class="bar-track" role="progressbar" aria-label="{escape(label)}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><div class="bar-fill" style="width: {percent}%"></div></div>'
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], label: str, right: frozenset[int] = frozenset()) -> str:
    """A plain table as HTML; cells are HTML already. `right`: columns of numbers."""

    def cells(values: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=right' if index in right else ''}>{value}</{tag}>" for index, value in enumerate(values)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table class="plain" aria-label="{escape(label)}"><thead><tr>'
        f"{cells([escape(each) for each in head], 'th')}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def card(label: str = "") -> Element:
    """A section with a border, to be filled in a `with`; `label` names it for those who cannot see it."""
    section = ui.element("section").classes("card")
    if label:
        section.props["aria-label"] = label
    return section


def block(classes: str) -> Element:
    """An element to be filled in a `with`."""
    return ui.element("div").classes(classes)


def button(label: str, *, icon: str | None = None, primary: bool = False) -> Button:
    """A button; a primary one is what the page is for."""
    return ui.button(label, icon=icon).props("unelevated" if primary else "outline").props("no-caps")


def icon_button(icon: str, label: str) -> Button:
    made = ui.button(icon=icon).props("flat round dense")
    made.props["aria-label"] = label
    made.tooltip(label)
    return made
