"""How well short runs order configurations as full ones do: a row a rung, and what was decided."""

from __future__ import annotations

from html import escape

from api.audit import AuditView, CorrelationView
from api.dashboard.elements import card, heading, markup, say, table, text
from api.words import inside, metric_title


class AuditPanel:
    def __init__(self) -> None:
        with card("Short runs"):
            heading(2, "Can short runs be trusted?")
            self._statement = text("", "say")
            self._rows = markup("")
            self._rises = markup("", "notice quiet")
            self._note = text("", "muted small")

    def update(self, audit: AuditView) -> None:
        say(self._statement, audit.statement)
        shown = any(rung.pairs for rung in audit.rungs)
        self._rows.content = rung_table(audit) if shown else ""
        self._rows.set_visibility(shown)
        self._rises.content = "<br>".join(escape(words[:1].upper() + words[1:]) + "." for words in audit.rises)
        self._rises.set_visibility(bool(audit.rises))
        say(self._note, note(audit))
        self._note.set_visibility(bool(audit.audited))


def note(audit: AuditView) -> str:
    """How the numbers came about, and what follows where a rung could be left."""
    drawn = "1 trial was" if len(audit.audited) == 1 else f"{len(audit.audited)} trials were"
    words = f"{drawn} drawn at random to be trained in full whatever the rank."
    if len(audit.rungs) > 1:
        words += f" A lowest rung that is below {audit.wanted:g} for sure is left."
    return words


def rung_table(audit: AuditView) -> str:
    """A row a rung: Spearman with the quality and with the loss in full, Kendall with the quality."""
    metrics = [each.metric for each in audit.rungs[0].agreements]
    head = [
        "Trained",
        *(f"Spearman, {inside(metric_title(metric))}" for metric in metrics),
        f"Kendall, {inside(metric_title(metrics[0]))}",
        "Trials",
    ]
    rows = [
        [
            f"{rung.fidelity:.0%}",
            *(_shown(each.spearman) for each in rung.agreements),
            _shown(rung.agreements[0].kendall),
            str(rung.pairs),
        ]
        for rung in audit.rungs
    ]
    return table(head, rows, "Rank correlation of each rung with full runs", frozenset(range(1, len(head))))


def _shown(found: CorrelationView | None) -> str:
    if found is None:
        return "–"
    return f"{found.value:.2f} <span class=muted>{found.low:.2f} to {found.high:.2f}</span>"
