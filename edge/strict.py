"""Parse once, strictly: JSON or TOML text into a typed struct, with errors that name the file, the key and the allowed keys."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from edge.errors import ShelfcamError

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - the same module under its older name
    import tomli as tomllib

T = TypeVar("T", bound=msgspec.Struct)

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
"""Of a camera, a slot, a sink, a bundle and its parts: it may stand in a file name, a topic and an event's id."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=2**31)]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every struct that is read from a file: no unknown key passes. (``kw_only`` is not inherited in msgspec.)"""


def load_json(path: Path, read: Callable[[Path], bytes] = Path.read_bytes) -> Any:
    """The parsed JSON of ``path``, whose content ``read`` gives. Raises OSError, or ValueError with the place of the fault."""
    try:
        return msgspec.json.decode(read(path))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from error


def load_toml(path: Path) -> dict[str, Any]:
    """The parsed TOML of ``path``. Raises OSError, or ValueError with the place of the fault."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: not TOML: {error}") from error


def convert(data: Any, struct: type[T], path: Path, error: type[ShelfcamError]) -> T:
    """``data`` as ``struct``, without coercion.

    Raises:
        error: naming the file, the key by its full path (``camera.fps``, ``models[0].gate``) and, for an unknown key, the
            nearest allowed one.
    """
    try:
        return msgspec.convert(data, struct, strict=True)
    except msgspec.ValidationError as fault:
        unknown = _first_unknown(data, struct, "")
        if unknown is None:
            raise error(f"{path}: {_readable(str(fault))}") from fault
        near = difflib.get_close_matches(unknown.name, unknown.allowed, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        fix = f"{hint}allowed here: {', '.join(sorted(unknown.allowed))}"
        raise error(f"{path}: {unknown.what}", fix=fix) from fault


def faults(data: Any, struct: type[msgspec.Struct], path: Path, error: type[ShelfcamError]) -> list[ShelfcamError]:
    """Every fault of ``data`` as ``struct``, where ``convert`` tells the first: each key is held against its own type alone.

    Returns:
        One ``error`` a fault, each as ``convert`` words it, in the order of the text; empty if ``convert`` accepts the data.
    """
    return [error(f"{path}: {message}", fix=fix) for message, fix in _faults(data, struct, "")]


def _faults(data: Any, type_: Any, at: str) -> list[tuple[str, str | None]]:
    struct = _struct_of(data, type_)
    if isinstance(data, Mapping) and struct is not None:
        return _faults_in_table(data, struct, at)
    inner = next((get_args(t)[0] for t in _alternatives(type_) if get_origin(t) in (tuple, list)), None)
    if isinstance(data, list) and inner is not None:
        found = [fault for index, item in enumerate(data) for fault in _faults(item, inner, f"{at}[{index}]")]
        if found:
            return found
    try:
        msgspec.convert(data, type_, strict=True)
    except msgspec.ValidationError as fault:
        return [(_readable(str(fault), at), None)]
    return []


def _faults_in_table(data: Mapping[str, Any], struct: type[msgspec.Struct], at: str) -> list[tuple[str, str | None]]:
    hints = get_type_hints(struct, include_extras=True)
    tag = struct.__struct_config__.tag_field
    found: list[tuple[str, str | None]] = []
    for key, value in data.items():
        where = f"{at}.{key}" if at else str(key)
        if key in hints:
            found += _faults(value, hints[key], where)
        elif key != tag:
            allowed = [*struct.__struct_encode_fields__, *filter(None, [tag])]
            near = difflib.get_close_matches(key, allowed, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            found.append((f"unknown key {where!r}", f"{hint}allowed here: {', '.join(sorted(allowed))}"))
    if not found:  # what no single key shows: one that is missing, or a rule over several
        try:
            msgspec.convert(data, struct, strict=True)
        except msgspec.ValidationError as fault:
            found.append((_readable(str(fault), at), None))
    return found


def _struct_of(data: Any, type_: Any) -> type[msgspec.Struct] | None:
    """The struct that ``data`` is meant to be: the only one that ``type_`` allows, or the one whose tag it carries."""
    structs = [t for t in _alternatives(type_) if isinstance(t, type) and issubclass(t, msgspec.Struct)]
    if len(structs) == 1:
        return structs[0]
    tagged = [
        s for s in structs if isinstance(data, Mapping) and data.get(s.__struct_config__.tag_field) == s.__struct_config__.tag
    ]
    return tagged[0] if len(tagged) == 1 else None


def _readable(message: str, at: str = "") -> str:
    """msgspec writes "Expected `int`, got `str` - at `$.camera.fps`"; people read "camera.fps: expected …". ``at``: what stands for
    the "$"."""
    match = re.fullmatch(r"(?P<what>.*) - at `\$\.?(?P<key>.*)`", message, flags=re.DOTALL)
    if match is None and not at:
        return message
    what = (match["what"] if match else message).replace("`", "")
    inside = match["key"] if match else ""
    key = f"{at}{'.' if at and inside and not inside.startswith('[') else ''}{inside}"
    return f"{key}: {what[:1].lower()}{what[1:]}" if key else what


class _Unknown(NamedTuple):
    """A name that is not known, ``what`` to say of it, and the names that are."""

    name: str
    what: str
    allowed: list[str]


def _first_unknown(data: Any, type_: Any, at: str) -> _Unknown | None:
    """The first key of ``data`` that its struct does not have, or kind of table that there is not; None if there is none."""
    options = _alternatives(type_)
    struct = _struct_for(data, options)
    if isinstance(data, Mapping) and struct is None:
        return _unknown_kind(data, options, at)
    if isinstance(data, Mapping) and struct is not None:
        hints = get_type_hints(struct, include_extras=True)
        tag_key = struct.__struct_config__.tag_field
        for key, value in data.items():
            where = f"{at}.{key}" if at else str(key)
            if key == tag_key:
                continue
            if key not in struct.__struct_encode_fields__:
                allowed = [*([tag_key] if tag_key else []), *struct.__struct_encode_fields__]
                return _Unknown(str(key), f"unknown key {where!r}", allowed)
            found = _first_unknown(value, hints[key], where)
            if found is not None:
                return found
    elif isinstance(data, list):
        inner = next((get_args(t)[0] for t in options if get_origin(t) in (tuple, list)), None)
        for index, value in enumerate(data):
            found = _first_unknown(value, inner, f"{at}[{index}]")
            if found is not None:
                return found
    return None


def _struct_for(data: Any, options: tuple[Any, ...]) -> type[msgspec.Struct] | None:
    """Which struct ``data`` is meant to be: of several, told apart by a tag, the one that it names."""
    structs = [t for t in options if isinstance(t, type) and issubclass(t, msgspec.Struct)]
    if len(structs) < 2 or not isinstance(data, Mapping):
        return structs[0] if structs else None
    return next((t for t in structs if data.get(str(t.__struct_config__.tag_field)) == t.__struct_config__.tag), None)


def _unknown_kind(data: Mapping[str, Any], options: tuple[Any, ...], at: str) -> _Unknown | None:
    """Of tables that are told apart by a tag, one whose tag is none of theirs."""
    structs = [t for t in options if isinstance(t, type) and issubclass(t, msgspec.Struct)]
    key = str(structs[0].__struct_config__.tag_field) if structs else ""
    name = data.get(key)
    if not isinstance(name, str):
        return None
    return _Unknown(name, f"{at}.{key}: unknown {key} {name!r}", [str(t.__struct_config__.tag) for t in structs])


def _alternatives(type_: Any) -> tuple[Any, ...]:
    """What a value may be: the type itself, or what Annotated or a union holds."""
    origin = get_origin(type_)
    if origin is Annotated:
        return _alternatives(get_args(type_)[0])
    if origin in (Union, UnionType):
        return tuple(inner for arg in get_args(type_) for inner in _alternatives(arg))
    return (type_,)
