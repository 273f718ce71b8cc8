"""The web process: the HTTP service and, beside it, the dashboard. It loads neither torch nor a sampler."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from api.auth import require_key
from api.body_limit import LimitBody
from api.errors import install
from api.metrics import CountRequests, Metrics
from api.openapi import document
from api.routes import OPEN, ROUTERS
from api.services import Services
from api.settings import Settings
from api.version import VERSION
from api.wiring import make_services

DESCRIPTION = (
    "Finds the parameter-efficient fine-tuning configuration worth training. Submit a search, follow it, read its "
    "Pareto front, and take a configuration away as a recipe that runs. Errors are problem documents (RFC 9457) that "
    "name each field at fault."
)


def create_app(settings: Settings, services: Services | None = None, *, dashboard: bool = True) -> FastAPI:
    """The whole web application of these settings.

    Everything below `/api` belongs to the service, also what it does not know: it answers as JSON, never as a page.
    """
    services = services or make_services(settings)
    app = FastAPI(title="Paretune", version=VERSION, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.services = services
    app.mount("/api", create_service(services))
    if dashboard:
        from api.dashboard import mount

        mount(app, services)
    return app


def create_service(services: Services) -> FastAPI:
    """The HTTP service alone, as mounted under `/api`."""
    service = FastAPI(
        title="Paretune",
        version=VERSION,
        description=DESCRIPTION,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # FastAPI's page loads its scripts from a content delivery network
        redoc_url=None,
    )
    service.state.services = services
    service.state.metrics = Metrics(services)
    service.add_middleware(LimitBody, limit=int(services.settings.max_body))
    service.add_middleware(CountRequests, metrics=service.state.metrics)
    install(service)
    for router in OPEN:
        service.include_router(router, prefix="/v1")
    for router in ROUTERS:
        service.include_router(router, prefix="/v1", dependencies=[Depends(require_key)])
    service.openapi = lambda: document(service, (*OPEN, *ROUTERS))  # type: ignore[method-assign]
    return service
