"""Artifacts: files named by the SHA-256 of their content, so that a file is written once and never changes."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import tarfile
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from storage.errors import ArtifactError

CHUNK = 1 << 20
DIGEST = re.compile(r"[0-9a-f]{64}")
INCOMING = "incoming-"
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Artifact:
    digest: str
    """SHA-256, 64 hexadecimal digits."""
    size: int
    """Bytes."""


class ArtifactStore:
    """A folder of artifacts. Any number of processes may use one folder.

    A file appears under its digest whole and on disk, or not at all: it is written beside its place, flushed, renamed.
    Every method that writes raises `ArtifactError`, which names the folder, when the disk is full or not writable.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)

    def put_bytes(self, content: bytes) -> Artifact:
        return self._put(lambda target: _copy(io.BytesIO(content), target))

    def put_folder(self, folder: Path) -> Artifact:
        """The folder packed as a tar file: equal names and contents give an equal digest, whatever times and owners.

        Raises:
            ArtifactError: not a folder, or something in it that is neither file nor folder.
        """
        if not folder.is_dir():
            raise ArtifactError(f"{folder} is not a folder")
        paths = sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix())
        for path in paths:
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise ArtifactError(f"{path} is neither a file nor a folder and cannot be stored")
        return self._put(lambda target: _pack(folder, paths, target))

    def path(self, digest: str) -> Path:
        """Where the file of that digest is. Read it; never write to it.

        Raises:
            ArtifactError: it is not there.
        """
        path = self._place(digest)
        if not path.is_file():
            raise ArtifactError(f"no artifact {digest} in {self.folder}")
        return path

    def unpack(self, digest: str, into: Path) -> None:
        """Write what `put_folder` packed into the folder `into`, which is made if need be.

        Raises:
            ArtifactError: not there, not a packed folder, or `into` cannot be written.
        """
        unpack_file(self.path(digest), into)

    def remove_unreferenced(self, keep: Collection[str], older_than: float = 3600.0) -> list[str]:
        """Delete the files whose digests are not in `keep`, and give their digests back. Files stored or stored again
        within the last `older_than` seconds stay: their owner may be about to record them."""
        kept = frozenset(keep)
        limit = time.time() - older_than
        removed = []
        for path in self._files():
            with self._writing():
                if path.name in kept or path.stat().st_mtime > limit:
                    continue
                path.unlink(missing_ok=True)
            if DIGEST.fullmatch(path.name):
                removed.append(path.name)
        return sorted(removed)

    def _files(self) -> Iterator[Path]:
        yield from self.folder.glob(f"{INCOMING}*")
        yield from self.folder.glob("??/*")

    def _place(self, digest: str) -> Path:
        if not DIGEST.fullmatch(digest):
            raise ArtifactError(f"{digest!r} is not a SHA-256 digest")
        return self.folder / digest[:2] / digest

    def _put(self, write: Callable[[IO[bytes]], None]) -> Artifact:
        with self._writing(), tempfile.NamedTemporaryFile(dir=self.folder, prefix=INCOMING, delete=False) as file:
            incoming = Path(file.name)
            try:
                write(file.file)
                file.flush()
                os.fsync(file.fileno())
                with incoming.open("rb") as written:
                    digest = hashlib.file_digest(written, "sha256").hexdigest()
                artifact = Artifact(digest, incoming.stat().st_size)
                place = self._place(artifact.digest)
                place.parent.mkdir(exist_ok=True)
                incoming.replace(place)
                _sync_folder(place.parent)
            except BaseException:
                incoming.unlink(missing_ok=True)
                raise
        return artifact

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            remedy = "free space there" if error.errno in NO_SPACE else "check that this user can write there"
            raise ArtifactError(f"cannot write artifacts to {self.folder}: {error.strerror}; {remedy}") from error


def unpack_file(packed: Path, into: Path) -> None:
    """Write what `ArtifactStore.put_folder` packed, in the file `packed`, into the folder `into`, which is made if need
    be. What names a place outside of `into` is refused.

    Raises:
        ArtifactError: not a packed folder, or `into` cannot be written.
    """
    try:
        with tarfile.open(packed, "r:") as archive:
            into.mkdir(parents=True, exist_ok=True)
            archive.extractall(into, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise ArtifactError(f"cannot unpack {packed} into {into}: {error}") from error


@contextmanager
def _reading(path: Path) -> Iterator[IO[bytes]]:
    try:
        source = path.open("rb")
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from error
    with source:
        yield source


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    while chunk := source.read(CHUNK):
        target.write(chunk)


def _pack(folder: Path, paths: list[Path], target: IO[bytes]) -> None:
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as packed:
        for path in paths:
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            if path.is_dir():
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                packed.addfile(member)
            else:
                member.size, member.mode = path.stat().st_size, 0o644
                with _reading(path) as content:
                    packed.addfile(member, content)


def _sync_folder(folder: Path) -> None:
    """Make a rename in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
