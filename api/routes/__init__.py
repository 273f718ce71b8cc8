"""Routes, one module a noun. `ROUTERS` need a key; `OPEN` do not."""

from __future__ import annotations

from fastapi import APIRouter

from api.routes import (
    adapter,
    analysis,
    audit,
    events,
    front,
    health,
    jobs,
    methods,
    metrics,
    recipe,
    spaces,
    transfer,
    trials,
)

ROUTERS: tuple[APIRouter, ...] = (
    jobs.router,
    trials.router,
    front.router,
    recipe.router,
    adapter.router,
    analysis.router,
    transfer.router,
    audit.router,
    events.router,
    spaces.router,
    methods.router,
    metrics.router,
)
OPEN: tuple[APIRouter, ...] = (health.router,)
