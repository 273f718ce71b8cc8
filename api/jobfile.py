"""Job and configuration files: YAML or JSON on the user's disk, as data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from search.fields import Invalid
from space.errors import FieldError

LARGEST = 1 << 20


class _Loader(yaml.SafeLoader):
    """YAML as users mean it: `1e-4` is a number (YAML 1.1, which PyYAML reads, wants `1.0e-4`), a key stands once and
    is text, and the result is a tree that JSON can hold: no aliases, no tags."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            raise ConstructorError(None, None, "an alias (*name); write the value out", event.start_mark)
        if event.tag is not None:
            raise ConstructorError(None, None, f"a tag ({event.tag}); remove it", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                what = repr(key.value) if isinstance(key, yaml.ScalarNode) else "a list or mapping"
                raise ConstructorError(None, None, f"{what} is no field's name; put it in quotes", key.start_mark)
            if key.value in seen:
                raise ConstructorError(None, None, f"{key.value!r} stands twice; remove one", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    # Dates stay text: no field of a job is a date.
    first: [resolver for resolver in resolvers if resolver[0] != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)[eE][-+]?\d+"), list("-+.0123456789")
)


def _wrong(path: Path, what: str, kind: str) -> Invalid:
    return Invalid([FieldError(kind.upper(), f"{path} {what}")])


def _text(path: Path, kind: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            what = f"is larger than {LARGEST >> 20} MiB, which no {kind} is; give the path of the {kind}'s file"
            raise _wrong(path, what, kind)
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(path, f"cannot be read ({error}); give the path of a YAML or JSON file", kind) from error


def _parsed(text: str, path: Path, kind: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except RecursionError as error:
        raise _wrong(path, f"is nested too deep; write a {kind}'s fields", kind) from error
    except (yaml.YAMLError, ValueError) as error:
        raise _wrong(path, f"cannot be read as YAML: {error}; correct it there", kind) from error


def _fields(path: Path, kind: str, least: str) -> dict[str, Any]:
    content = _parsed(_text(path, kind), path, kind)
    if not isinstance(content, dict):
        raise _wrong(path, f"holds no {kind}; write fields with values, at least {least}", kind)
    return content


def read_configuration(path: Path) -> dict[str, Any]:
    """The file's content: a configuration's fields.

    Raises:
        Invalid: it cannot be read, or is not a mapping.
    """
    return _fields(path, "configuration", "components")


def read_job(path: Path) -> dict[str, Any]:
    """The file's content, its relative paths made absolute: they start at the file's folder.

    Raises:
        Invalid: it cannot be read, or is not a mapping.
    """
    content = _fields(path, "job", "model and task")
    model, task = content.get("model"), content.get("task")
    data = task.get("data") if isinstance(task, dict) else None
    folder = path.resolve().parent
    for holder, field in ((model, "path"), (data, "path"), (task, "general_text")):
        if isinstance(holder, dict) and isinstance(holder.get(field), str):
            holder[field] = str(folder / Path(holder[field]).expanduser())
    return content
