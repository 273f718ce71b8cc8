"""The audit as JSON, as the job's progress holds it and `GET /jobs/{id}/audit` serves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from search.audit import SHORT, Audit, RungAudit
from search.ledger import Trial


def audit_report(audit: Audit, trials: Sequence[Trial], lowest: int, rises: Sequence[str]) -> dict[str, Any]:
    """`trials`: all sampled ones; `lowest`: step at which new ones start; `rises`: what was decided, in words."""
    full = audit.steps[-1]
    rungs = audit.rungs(trials)
    counted = len(audit.counted(trials))
    return {
        "share": audit.share if audit.on else 0.0,
        "metric": audit.objective.metric,
        "audited": [trial.number for trial in audit.audited(trials)],
        "counted": counted,
        "wanted": SHORT,
        "rungs": [{**asdict(rung), "fidelity": rung.step / full} for rung in rungs],
        "lowest": lowest / full,
        "rises": list(rises),
        "statement": _statement(audit, rungs, counted, full),
    }


def _statement(audit: Audit, rungs: Sequence[RungAudit], counted: int, full: int) -> str:
    if len(audit.steps) == 1:
        return "There is one rung, the full run: no shorter run decides anything."
    if not audit.on:
        return "The audit is off (fidelity.audit is 0): how well short runs order full ones is not measured."
    lowest = rungs[0]
    found = lowest.agreements[0].spearman
    if found is None:
        some = f"{counted} audited configuration{'' if counted == 1 else 's'} measured in full so far"
        return f"{some}: too few to tell how well short runs order configurations."
    return (
        f"After {lowest.step / full:.0%} of the steps, configurations stand in the order of their full "
        f"{audit.objective.metric} with a Spearman correlation of {found.value:.2f} "
        f"(95% from {found.low:.2f} to {found.high:.2f}; {lowest.pairs} audited)."
    )
