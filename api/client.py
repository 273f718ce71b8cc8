"""The command line's client: the HTTP interface, of a running service or, without one, of this very process."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import anyio
import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.settings import Settings, variable

BASE = "/api/v1"
TIMEOUT = httpx.Timeout(30.0, read=900.0)
"""Looking at a large model and data set takes its time."""


Request = tuple[str, str, dict[str, Any]]
"""Method, path, and what `httpx` takes beside them."""


def named_file(headers: httpx.Headers) -> str | None:
    """The name that an answer gives its file, where it is a plain one."""
    found = re.search(r'filename="([\w.-]+)"', headers.get("content-disposition", ""))
    return found[1] if found else None


class Refused(Exception):
    """The service answered with a problem."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(document.get("detail", "the service refused the request"))
        self.status: int = document.get("status", 0)
        self.fields: list[tuple[str, str]] = [(each["field"], each["message"]) for each in document.get("errors", [])]


class Unreachable(Exception):
    """There is no service, or no data folder; the message says what to do."""


class Client:
    """One request at a time, each answered with parsed JSON or a file.

    Without `settings.server` the data folder is worked on directly, through the same routes, as its trusted owner.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, params={name: value for name, value in query.items() if value is not None}).json()

    def post(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        return self.call("POST", path, json=body, headers=headers or {}).json()

    def get_each(self, paths: Sequence[str]) -> list[Any]:
        """Many answers, over one connection."""
        return [response.json() for response in self._send([("GET", path, {}) for path in paths])]

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Raises Refused or Unreachable."""
        return self._send([(method, path, request)])[0]

    def download(self, path: str, target: IO[bytes], **query: Any) -> httpx.Headers:
        """Write a file that the service gives to `target` as it comes, however large; returns its headers.

        Raises:
            Refused, Unreachable: `target` may then hold a part of it.
            OSError: `target` cannot be written, or the file not be read.
        """
        params = {name: value for name, value in query.items() if value is not None}
        if not self._settings.server:
            files: list[Path] = []
            (response,) = self._checked(self._local([("GET", path, {"params": params})], files))
            with files[0].open("rb") as source:
                shutil.copyfileobj(source, target)
            return response.headers
        with self._connection() as client, client.stream("GET", path, params=params) as response:
            if not response.is_success:
                response.read()
                self._checked([response])
            for part in response.iter_bytes():
                target.write(part)
            return response.headers

    def _send(self, requests: Sequence[Request]) -> list[httpx.Response]:
        """The answers to `requests`, one after the other.

        Raises:
            Refused, Unreachable.
        """
        return self._checked(self._remote(requests) if self._settings.server else self._local(requests))

    def _checked(self, responses: list[httpx.Response]) -> list[httpx.Response]:
        for response in responses:
            if response.is_success:
                continue
            try:
                document = response.json()
            except ValueError as error:
                raise Unreachable(
                    f"{self._settings.server} answered {response.status_code} and not as Paretune does; "
                    "check the address"
                ) from error
            raise Refused(document)
        return responses

    def _remote(self, requests: Sequence[Request]) -> list[httpx.Response]:
        with self._connection() as client:
            return [client.request(method, path, **request) for method, path, request in requests]

    @contextmanager
    def _connection(self) -> Iterator[httpx.Client]:
        """To the running service, with the key.

        Raises:
            Unreachable: there is none, or it went away.
        """
        key = self._settings.api_key
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        server = str(self._settings.server).rstrip("/")
        try:
            with httpx.Client(base_url=server + BASE, timeout=TIMEOUT, headers=headers) as client:
                yield client
        except httpx.TransportError as error:
            raise Unreachable(
                f"no service answers at {server} ({error}); start one with `paretune serve`, "
                f"or correct {variable('server')}"
            ) from error

    def _local(self, requests: Sequence[Request], files: list[Path] | None = None) -> list[httpx.Response]:
        """By this process. With `files`, those that are answers are named there, and the answers have no body."""
        from api.app import create_app
        from api.wiring import make_services

        settings = self._settings
        if settings.database_url is None and not (settings.data_dir / "paretune.db").exists():
            raise Unreachable(
                f"there is no data in {settings.data_dir}; name the folder of a search or service with --data-dir, "
                "or a running service with --server"
            )
        services = make_services(settings, trusted=True)
        service = create_app(settings, services, dashboard=False)
        app = service if files is None else _telling(service, files)

        async def answer() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost" + BASE) as client:
                return [await client.request(method, path, **request) for method, path, request in requests]

        try:
            return anyio.run(answer)
        finally:
            services.close()


def _telling(app: ASGIApp, files: list[Path]) -> ASGIApp:
    """`app`, which tells `files` of a file that it answers with instead of reading it: httpx keeps whole bodies of an
    app in memory."""

    async def telling(scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(message: Message) -> None:
            if message["type"] == "http.response.pathsend":
                files.append(Path(message["path"]))
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await app({**scope, "extensions": {"http.response.pathsend": {}}}, receive, tell)

    return telling
