"""Transfer: what a job made of earlier ones."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.errors import responses
from api.routes import examples
from api.routes.dependencies import JobId, ServicesOf
from api.transfer import TransferView

router = APIRouter(prefix="/jobs/{job_id}/transfer", tags=["analysis"])


@router.get(
    "",
    summary="What a job made of earlier ones",
    responses={200: examples.answer(examples.TRANSFER, "sources and transferred points"), **responses(404, 422)},
)
def get_transfer(
    job_id: JobId,
    services: ServicesOf,
    against: Annotated[
        str | None,
        Query(description="a search of the same task to compare with; default: the newest one", max_length=64),
    ] = None,
) -> TransferView:
    """The earlier jobs that it learns from, whether its own trials still believe them, and how much of the front the
    transferred configurations reach: against the hand-made baselines and a search of the same task, with intervals.
    """
    return services.transfer(job_id, against)
