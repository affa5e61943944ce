"""Requests checked against the service model that botocore ships: required members, types, lengths, enumerations."""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from typing import Any

from botocore.loaders import create_loader
from botocore.model import ServiceModel, Shape

from fakes.kms.refusal import RefusalError, invalid

_LISTED = 1024


@lru_cache(maxsize=1)
def _model() -> ServiceModel:
    return ServiceModel(create_loader().load_service_model("kms", "service-2"), "kms")


@lru_cache(maxsize=64)
def _input_shape(operation: str) -> Shape | None:
    return _model().operation_model(operation).input_shape


def check_request(operation: str, request: Any) -> dict[str, Any]:
    """The request's members, blobs decoded."""
    if type(request) is not dict:
        raise RefusalError("SerializationException", "the request is not a JSON object")
    shape = _input_shape(operation)
    return {} if shape is None else _read(shape, request, "")


def _read(shape: Shape, value: Any, path: str) -> Any:
    reader = _READERS.get(shape.type_name)
    if reader is None:
        raise RefusalError("SerializationException", f"no reader for {shape.type_name}")
    return reader(shape, value, path)


def _read_structure(shape: Shape, value: Any, path: str) -> dict[str, Any]:
    _expect(value, dict, path)
    for name in shape.required_members:
        if value.get(name) is None:
            raise invalid(f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null")
    members = shape.members
    if unknown := value.keys() - members.keys():
        raise invalid(f"unknown member '{_join(path, min(unknown))}'")
    return {name: _read(members[name], item, _join(path, name)) for name, item in value.items() if item is not None}


def _read_list(shape: Shape, value: Any, path: str) -> list:
    _expect(value, list, path)
    _check_size(shape, len(value), path, "length")
    return [_read(shape.member, item, f"{path}.{place}") for place, item in enumerate(value, 1)]


def _read_map(shape: Shape, value: Any, path: str) -> dict:
    _expect(value, dict, path)
    return {name: _read(shape.value, item, _join(path, name)) for name, item in value.items()}


def _read_string(shape: Shape, value: Any, path: str) -> str:
    _expect(value, str, path)
    _check_size(shape, len(value), path, "length")
    if shape.enum and value not in shape.enum:
        raise invalid(
            f"Value '{value[:_LISTED]}' at '{path}' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        )
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(pattern, value):
        raise invalid(
            f"Value '{value[:_LISTED]}' at '{path}' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {pattern}"
        )
    return value


def _read_blob(shape: Shape, value: Any, path: str) -> bytes:
    _expect(value, str, path)
    try:
        data = base64.b64decode(value, validate=True)
    except binascii.Error:
        raise RefusalError("SerializationException", f"'{path}' is not base64") from None
    _check_size(shape, len(data), path, "length")
    return data


def _read_boolean(shape: Shape, value: Any, path: str) -> bool:
    del shape
    _expect(value, bool, path)
    return value


def _read_integer(shape: Shape, value: Any, path: str) -> int:
    _expect(value, int, path)
    _check_size(shape, value, path, "value")
    return value


def _check_size(shape: Shape, size: int, path: str, what: str) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        raise invalid(f"Value at '{path}' failed to satisfy constraint: Member must have {what} at least {low}")
    if high is not None and size > high:
        raise invalid(f"Value at '{path}' failed to satisfy constraint: Member must have {what} at most {high}")


def _expect(value: Any, kind: type, path: str) -> None:
    if type(value) is not kind:
        raise RefusalError("SerializationException", f"'{path or 'request'}' is not of type {kind.__name__}")


def _join(path: str, name: str) -> str:
    camel = name[:1].lower() + name[1:]
    return f"{path}.{camel}" if path else camel


_READERS = {
    "structure": _read_structure,
    "list": _read_list,
    "map": _read_map,
    "string": _read_string,
    "blob": _read_blob,
    "boolean": _read_boolean,
    "integer": _read_integer,
}
