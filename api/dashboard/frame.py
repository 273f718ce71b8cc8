"""The frame of every page: style, header, light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path

from nicegui import ui

from api.dashboard.elements import block, icon_button, markup

STYLE = f"<style>{(Path(__file__).parent / 'style.css').read_text(encoding='utf-8')}</style>"
PAGE_SECONDS = 60.0
"""A page's time to be built: NiceGUI's own 3 s end in an error where trainings take every core."""
COOKIE = "paretune-theme"
LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="22" height="22" viewBox="0 0 22 22" aria-hidden="true">'
    '<rect width="22" height="22" rx="6" fill="#4f5fd9"/>'
    '<path d="M5 16.5V12h4V8.5h4V6h4" fill="none" stroke="#fff" stroke-width="1.8" stroke-linejoin="round"/>'
    '<circle cx="9" cy="12" r="1.7" fill="#fff"/><circle cx="13" cy="8.5" r="1.7" fill="#fff"/></svg>'
)


SWITCH_THEME = f"""() => {{
    const dark = !Quasar.Dark.isActive;
    document.cookie = `{COOKIE}=${{dark ? "dark" : "light"}}; path=/; max-age=31536000; samesite=lax`;
    emit(dark);
}}"""


@contextmanager
def frame(here: str, crumbs: Sequence[tuple[str, str]] = ()) -> Iterator[None]:
    """The page's content goes inside.

    `here`: the header's entry that is current. `crumbs`: (words, link) of the pages above this one.
    """
    ui.add_head_html(STYLE)
    ui.colors(primary="#4f5fd9", negative="#c4372f", positive="#2a8f57")
    theme = ui.dark_mode(_chosen_theme())
    with ui.element("header").classes("bar"):
        markup(f"{LOGO}<span>Paretune</span>", "brand", tag="a").props('href="/" aria-label="Paretune, all searches"')
        with ui.element("nav").classes("line").props('aria-label="Main"'):
            for name, link in (("Searches", "/"), ("New search", "/submit")):
                entry = ui.link(name, link).classes("link")
                if name == here:
                    entry.classes("here").props('aria-current="page"')
        ui.element("div").classes("spring")
        # The browser knows what is shown, also where it decides; the element holds it, or its next update undoes it.
        icon_button("contrast", "Switch between light and dark").on(
            "click", lambda event: theme.set_value(event.args), js_handler=SWITCH_THEME
        )
    with block("page"):
        if crumbs:
            links = "<span>/</span>".join(f'<a href="{escape(link)}">{escape(words)}</a>' for words, link in crumbs)
            markup(links, "crumbs", tag="nav").props('aria-label="Where you are"')
        yield


def _chosen_theme() -> bool | None:
    """Dark, light, or as the browser wishes."""
    request = ui.context.client.request
    return {"dark": True, "light": False}.get(request.cookies.get(COOKIE, ""))
