"""The card that says whether short runs can be trusted."""

from __future__ import annotations

import pytest

from api.audit import AgreementView, AuditView, CorrelationView, RungAuditView
from api.dashboard.audit_panel import note, rung_table


def audit_of(audited: int, rungs: int) -> AuditView:
    found = CorrelationView(value=0.875, low=0.25, high=0.98)
    rows = [
        RungAuditView(
            step=10 * (index + 1),
            fidelity=0.1 * (index + 1),
            pairs=audited,
            agreements=[AgreementView(metric="accuracy", spearman=found, kendall=None)],
        )
        for index in range(rungs)
    ]
    return AuditView(audited=list(range(audited)), wanted=0.5, rungs=rows, statement="")


@pytest.mark.parametrize(("audited", "words"), [(1, "1 trial was drawn"), (3, "3 trials were drawn")])
def test_the_note_says_how_many_were_drawn(audited: int, words: str) -> None:
    assert note(audit_of(audited, 2)).startswith(words)


def test_a_rung_can_be_left_only_where_there_is_another_below_the_top() -> None:
    assert "below 0.5" in note(audit_of(9, 2))
    assert "below" not in note(audit_of(9, 1))


def test_the_table_has_a_row_a_rung_and_a_dash_for_what_is_not_known() -> None:
    shown = rung_table(audit_of(9, 2))
    assert shown.count("0.25 to 0.98") == 2
    assert shown.count("–") == 2
