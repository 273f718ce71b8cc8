"""A running service with searches in it, and a real browser to look at it with."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds that a page may take where other work holds every core; Playwright's own are 5 and 30."""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Seeded:
    """The service of `seeded_service.py`."""

    url: str
    process: subprocess.Popen[str]

    def step(self) -> None:
        """Let the running search find another point; returns when it is stored."""
        assert self.process.stdin is not None
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        self.wait_for("stepped")

    def wait_for(self, word: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip() == word:
                return
        raise RuntimeError("the service ended; what it wrote stands above")


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("seeded")
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PARETUNE_", "NICEGUI_", "PYTEST_"))
    }
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("seeded_service.py")), str(folder), str(port)],
        env={**kept, "PYTHONPATH": str(ROOT), "PARETUNE_ROOTS": str(folder), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    service = Seeded(f"http://127.0.0.1:{port}", process)
    service.wait_for("ready")
    yield service
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=1000 * PATIENCE)
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, seeded: Seeded) -> Iterator[Page]:
    """A fresh page; at the end it must have met no error and asked nobody but the service."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(1000 * PATIENCE)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    own = (seeded.url, seeded.url.replace("http", "ws", 1), "data:", "blob:")
    page.on(
        "request", lambda request: wrong.append(f"asked {request.url}") if not request.url.startswith(own) else None
    )
    yield page
    context.close()
    assert wrong == []
