"""The trained adapter: what the search itself trained of one trial, packed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import FileResponse

from api.adapter import MEDIA_TYPE
from api.errors import responses
from api.routes import examples
from api.routes.dependencies import JobId, ServicesOf

router = APIRouter(prefix="/jobs/{job_id}/adapter", tags=["recipe"])

PACKED = "adapter_config.json and adapter_model.safetensors, in a tar file"


@router.get(
    "",
    summary="Take a trained adapter away",
    response_class=Response,
    responses={
        200: examples.answer(PACKED, "the packed folder", MEDIA_TYPE),
        304: {"description": "it is the one of `If-None-Match`"},
        **responses(404, 409, 422),
    },
)
def get_adapter(
    job_id: JobId,
    services: ServicesOf,
    trial: Annotated[int | None, Query(ge=0, le=2**31 - 1, description="this trial's adapter")] = None,
    pick: Annotated[
        str | None,
        Query(description=f"choose from the front: {examples.PICK_FORMS}; default: knee", max_length=1000),
    ] = None,
    seed: Annotated[
        int | None,
        Query(ge=0, le=2**63 - 1, description="the run of this seed; default: the one of the best validation result"),
    ] = None,
    if_none_match: Annotated[
        str | None, Header(description="the `ETag` of what is there already", max_length=2000)
    ] = None,
) -> Response:
    """The adapter as the search trained and measured it, a folder of peft's packed as a tar file: by default of the
    front's knee. Finalists and baselines have one for each fresh seed.

    `Content-Description` says in words whose it is, how long it was trained and how it is loaded; `ETag` is the file's
    SHA-256.
    """
    adapter = services.adapter(job_id, trial, pick, seed)
    headers = {"ETag": f'"{adapter.digest}"', "Content-Description": adapter.words}
    if if_none_match is not None and (adapter.digest in if_none_match or if_none_match.strip() == "*"):
        return Response(status_code=304, headers=headers)
    return FileResponse(adapter.path, headers=headers, media_type=MEDIA_TYPE, filename=adapter.name)
