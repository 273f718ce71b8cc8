"""The audit: how well a job's short runs foretell its full ones."""

from __future__ import annotations

from fastapi import APIRouter

from api.audit import AuditView
from api.errors import responses
from api.routes import examples
from api.routes.dependencies import JobId, ServicesOf

router = APIRouter(prefix="/jobs/{job_id}/audit", tags=["analysis"])


@router.get(
    "",
    summary="How well short runs foretell full ones",
    responses={200: examples.answer(examples.AUDIT, "the audit"), **responses(404)},
)
def get_audit(job_id: JobId, services: ServicesOf) -> AuditView:
    """Rank correlations, with intervals, between each rung and the full run, over a random slice of the trials that is
    trained in full whatever its rank; and what was decided by them.
    """
    return services.audit(job_id)
