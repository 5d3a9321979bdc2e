"""Takes back the nulls that a strict schema made a model write.

Strict schemas know no optional fields: a field that may be missing becomes one
that may be null. Where null does not fit the schema that was meant, it can only
mean that the field is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.schemas import parts
from llmnb.schemas.parts import Schema


def taken_back(document: Any, root: Mapping[str, Any], schema: Any = None) -> Any:
    """Return the document without fields that are null, may be missing and may not be null.

    Args:
        document: What the model wrote; changed in place.
        root: Schema that was meant.
        schema: Schema of the document, where it is only a part of `root`.

    Example:
        >>> schema = {"properties": {"a": {"type": "string"}, "b": {"type": ["string", "null"]}}}
        >>> taken_back({"a": None, "b": None}, schema)
        {'b': None}
    """
    waiting: list[tuple[Any, list[Any]]] = [(document, [root if schema is None else schema])]
    while waiting:
        node, schemas = waiting.pop()
        faces = parts.alternatives(schemas, root)
        if isinstance(node, dict):
            for name in [name for name, value in node.items() if value is None]:
                if _only_stands_for_missing(name, faces, root):
                    del node[name]
            inner = [(value, _of_field(name, faces)) for name, value in node.items()]
        elif isinstance(node, list):
            items = [face["items"] for face in faces if "items" in face]
            inner = [(value, items) for value in node]
        else:
            continue
        waiting.extend((value, found) for value, found in inner if isinstance(value, (dict, list)))
    return document


def _only_stands_for_missing(name: str, faces: list[Schema], root: Mapping[str, Any]) -> bool:
    knowing = [face for face in faces if name in face.get("properties", ())]
    if not knowing or any(name in face.get("required", ()) for face in knowing):
        return False
    return not any(parts.admits_null(face["properties"][name], root) for face in knowing)


def _of_field(name: str, faces: list[Schema]) -> list[Any]:
    found = [face["properties"][name] for face in faces if name in face.get("properties", ())]
    return found or [face.get("additionalProperties") for face in faces]
