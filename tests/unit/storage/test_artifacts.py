"""Artifacts: named by content, whole or absent, packed the same way every time, removed when nobody refers to them."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.artifacts import ArtifactStore
from storage.errors import ArtifactError


@pytest.fixture
def artifacts(tmp_path):
    return ArtifactStore(tmp_path / "data" / "artifacts")


def files(artifacts):
    return sorted(path for path in artifacts.folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("content", [b"", b"adapter", os.urandom(3_000_000)])
def test_content_is_found_under_its_digest(artifacts, content) -> None:
    stored = artifacts.put_bytes(content)
    assert (stored.digest, stored.size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert artifacts.path(stored.digest).read_bytes() == content
    assert artifacts.put_bytes(content) == stored
    assert files(artifacts) == [artifacts.path(stored.digest)]


def test_one_content_stored_at_once_is_one_file(artifacts) -> None:
    content = os.urandom(500_000)
    with ThreadPoolExecutor(8) as threads:
        stored = set(threads.map(lambda _: artifacts.put_bytes(content), range(16)))
    (one,) = stored
    assert files(artifacts) == [artifacts.path(one.digest)]


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "adapter"
    (made / "deep" / "empty").mkdir(parents=True)
    (made / "b.txt").write_text("b")
    (made / "deep" / "a.bin").write_bytes(bytes(range(256)) * 100)
    return made


def test_a_folder_comes_back_as_it_was(artifacts, folder, tmp_path) -> None:
    stored = artifacts.put_folder(folder)
    back = tmp_path / "back" / "again"
    artifacts.unpack(stored.digest, back)
    before = {path.relative_to(folder): path.is_file() and path.read_bytes() for path in folder.rglob("*")}
    assert {path.relative_to(back): path.is_file() and path.read_bytes() for path in back.rglob("*")} == before


def test_a_folder_has_one_digest_whatever_its_times_and_modes(artifacts, folder) -> None:
    first = artifacts.put_folder(folder)
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    (folder / "b.txt").chmod(0o600)
    assert artifacts.put_folder(folder) == first
    (folder / "b.txt").rename(folder / "c.txt")
    assert artifacts.put_folder(folder) != first


def test_a_folder_with_a_link_is_refused(artifacts, folder) -> None:
    (folder / "link").symlink_to(folder / "b.txt")
    with pytest.raises(ArtifactError, match="link"):
        artifacts.put_folder(folder)
    assert files(artifacts) == []


def test_a_source_that_is_not_there_is_named(artifacts, tmp_path) -> None:
    with pytest.raises(ArtifactError, match="missing"):
        artifacts.put_folder(tmp_path / "missing")
    assert files(artifacts) == []


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_a_digest_that_is_none_is_refused(artifacts, digest) -> None:
    with pytest.raises(ArtifactError, match="not a SHA-256"):
        artifacts.path(digest)


def test_an_unknown_digest_is_not_there(artifacts) -> None:
    with pytest.raises(ArtifactError, match="no artifact"):
        artifacts.path("a" * 64)


def test_what_is_no_packed_folder_is_not_unpacked(artifacts, tmp_path) -> None:
    stored = artifacts.put_bytes(b"not a tar file")
    with pytest.raises(ArtifactError, match="cannot unpack"):
        artifacts.unpack(stored.digest, tmp_path / "out")


def test_what_nobody_refers_to_is_removed(artifacts) -> None:
    kept, dropped = artifacts.put_bytes(b"kept"), artifacts.put_bytes(b"dropped")
    leftover = artifacts.folder / "incoming-dead"
    leftover.write_bytes(b"a writer was killed")
    for path in files(artifacts):
        os.utime(path, (1, 1))
    assert artifacts.remove_unreferenced({kept.digest}) == [dropped.digest]
    assert files(artifacts) == [artifacts.path(kept.digest)]


def test_what_was_stored_just_now_is_not_removed(artifacts) -> None:
    """Its owner may be about to record it; storing the same content again counts as just now."""
    fresh, old = artifacts.put_bytes(b"fresh"), artifacts.put_bytes(b"old")
    os.utime(artifacts.path(old.digest), (1, 1))
    artifacts.put_bytes(b"old")
    assert artifacts.remove_unreferenced(set()) == []
    assert artifacts.remove_unreferenced({fresh.digest}, older_than=-1) == [old.digest]


def test_a_folder_that_cannot_be_made_is_named(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError, match=str(tmp_path / "file")):
        ArtifactStore(tmp_path / "file" / "artifacts")
