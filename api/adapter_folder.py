"""A trained adapter as a folder on this machine: fetched from the service, checked, unpacked; whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from api.client import Client, named_file
from space.errors import FieldError
from storage.artifacts import unpack_file
from storage.errors import ArtifactError


def write_adapter(client: Client, job_id: str, output: str | None, **query: Any) -> tuple[Path, str]:
    """Unpack the job's adapter that `query` (`trial`, `pick`, `seed`) names into the folder `output`, by default one of
    its own name here; returns the folder, and in words whose adapter it is.

    Raises:
        Refused, Unreachable: the service has no such adapter, or does not answer.
        FieldError: `--output` is a file, is not empty, or cannot be written.
        ArtifactError: what came is damaged, or cannot be unpacked.
    """
    folder = Path.cwd() if output is None else Path(output).resolve()
    try:
        if output is not None:
            _check_free(folder)
        # On the disk where it is to stand, so that a rename puts it there.
        beside = next(each for each in (folder, *folder.parents) if each.exists())
        with TemporaryDirectory(dir=beside, prefix=".paretune-") as staging:
            packed, unpacked = Path(staging) / "adapter.tar", Path(staging) / "adapter"
            with packed.open("wb") as target:
                headers = client.download(f"/jobs/{job_id}/adapter", target, **query)
            _check_digest(packed, headers.get("etag", ""))
            if output is None:
                folder /= Path(named_file(headers) or f"{job_id}-adapter.tar").stem
                _check_free(folder)
            unpack_file(packed, unpacked)
            _move(unpacked, folder)
    except OSError as error:
        raise FieldError(
            "--output", f"{folder} cannot be written: {error.strerror or error}; name another folder"
        ) from error
    return Path(output or folder.name), headers.get("content-description", "")


def _check_free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise FieldError("--output", f"{folder} is a file; name a new or an empty folder")
    if folder.exists() and any(folder.iterdir()):
        raise FieldError("--output", f"{folder} holds other files; name a new or an empty folder")


def _check_digest(packed: Path, tag: str) -> None:
    with packed.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != tag.strip('"'):
        raise ArtifactError("the adapter came damaged: its SHA-256 is not what the service says; export it again")


def _move(unpacked: Path, folder: Path) -> None:
    if folder.exists():  # it stays the folder that it was: it may be a mount, or where the user stands
        for each in unpacked.iterdir():
            each.rename(folder / each.name)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    unpacked.rename(folder)
