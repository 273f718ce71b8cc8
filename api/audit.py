"""What the service answers about a job's audit of its short runs."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from api.schemas import View
from storage.records import JobRecord

NONE_YET: dict[str, Any] = {"statement": "Nothing has been audited yet."}


class CorrelationView(View):
    """A rank correlation in [-1, 1] with its 95% interval."""

    value: float
    low: float
    high: float


class AgreementView(View):
    """How a rung's order agrees with that of one metric in full."""

    metric: str
    spearman: CorrelationView | None = Field(description="null below 5 trials")
    kendall: CorrelationView | None = Field(description="tau-b; null below 5 trials")


class RungAuditView(View):
    """One rung below the full run."""

    fidelity: float = Field(description="share of the full steps")
    step: int
    pairs: int = Field(description="audited trials measured at this rung and in full")
    agreements: list[AgreementView] = Field(
        description="what the rung ranks by (the held-out loss in place of a quality) with the quality in full, and "
        "with the loss in full"
    )


class AuditView(View):
    """How well short runs order configurations as full ones do, by a random slice that is trained in full."""

    share: float = Field(default=0.0, description="of the sampled trials that are audited; 0: none")
    metric: str = Field(default="", description="the objective that short runs should foretell")
    audited: list[int] = Field(default_factory=list, description="trials drawn for the audit")
    counted: int = Field(default=0, description="of them, those that the correlations are taken over")
    wanted: float = Field(default=0.0, description="Spearman correlation below which the lowest rung is left")
    rungs: list[RungAuditView] = Field(default_factory=list, description="from the lowest")
    lowest: float = Field(default=0.0, description="fidelity that new trials start at")
    rises: list[str] = Field(default_factory=list, description="each time the lowest rung was left, and why")
    statement: str


def audit_view(job: JobRecord) -> AuditView:
    """As the loop last left it in the job's progress."""
    return AuditView.model_validate(job.progress.get("audit") or NONE_YET)
