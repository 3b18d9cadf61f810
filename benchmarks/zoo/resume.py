"""Results that a stopped run left and that another goes on with: only if it asks the same."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from edge import strict
from edge.errors import DataError, SinkError
from edge.strict import Strict


class Resumable(Strict, frozen=True, kw_only=True):
    """``asked``: what the results depend on, by name."""

    schema: Literal[1] = 1
    asked: dict[str, str]


T = TypeVar("T", bound=Resumable)


def read_resumable(path: Path, kind: type[T], asked: dict[str, str]) -> T:
    """What an earlier run left; empty where there was none.

    Raises:
        DataError: what is there is something else.
        SinkError: other things were asked.
    """
    if not path.exists():
        return kind(asked=asked)
    try:
        found = strict.convert(strict.load_json(path), kind, path, DataError)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}", fix="--restart begins anew") from error
    for key in {**asked, **found.asked}:
        was, now = found.asked.get(key, "nothing"), asked.get(key, "nothing")
        if was != now:
            raise SinkError(f"{path}: {key} was {was!r}, now {now!r}", fix="ask the same, give another --out, or --restart")
    return found
