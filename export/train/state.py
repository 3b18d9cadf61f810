"""A training run on disk: everything that the next epoch needs, replaced as a whole after every epoch.

The random choices of an epoch are drawn from the seed and the epoch's number alone, so a run that was killed and resumed gives the
weights of one that was not.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edge.errors import DataError, UsageError
from edge.files import write_atomic
from export.load.archive import is_archive
from export.load.confined import read_file
from export.load.weights import check_spread, unpickle

STATE_VERSION = 1


@dataclass(slots=True)
class State:
    """``network``, ``average``, ``best``: state dicts; ``history``: the epochs' plain values; ``fingerprint``: what the run was asked,
    by option."""

    fingerprint: dict[str, str]
    epochs_done: int
    network: dict[str, Any]
    average: dict[str, Any]
    optimiser: dict[str, Any]
    best: dict[str, Any] | None
    history: list[dict[str, Any]]


def save(path: Path, state: State) -> None:
    """Raises SinkError."""
    content = io.BytesIO()
    torch.save({"version": STATE_VERSION} | {name: getattr(state, name) for name in State.__slots__}, content)
    write_atomic(path, content.getvalue())


def restore(path: Path, fingerprint: dict[str, str], free: frozenset[str] = frozenset()) -> State | None:
    """What was saved by a run that was asked the same, but for the keys in ``free``; None if there is nothing.

    Raises:
        DataError: the file cannot be read.
        UsageError: it is of a run that was asked something else (names what differs).
    """
    if not path.exists():
        return None
    restart = f"--restart begins anew, without {path.name}"
    try:
        content = read_file(path)
        if not is_archive(content):
            raise DataError(f"{path}: not a training state: it is no archive")
        stored = unpickle(path, content)
        check_spread(path, stored, len(content))
        version = stored.pop("version", None)
        if version != STATE_VERSION:
            raise DataError(f"{path}: training state of version {version}, not {STATE_VERSION}", fix=restart)
        state = State(**stored)
    except (OSError, RuntimeError, TypeError, AttributeError, EOFError) as error:
        raise DataError(f"{path}: not a training state: {error}", fix=restart) from error
    except DataError as error:
        raise DataError(str(error), fix=restart) from error
    if not isinstance(state.fingerprint, dict) or type(state.epochs_done) is not int or not isinstance(state.history, list):
        raise DataError(f"{path}: not a training state", fix=restart)
    differing = [key for key, value in fingerprint.items() if key not in free and state.fingerprint.get(key) != value]
    if differing:
        raise UsageError(
            f"{path}: is of a run with another {', '.join(differing)}", fix=f"ask the same to go on with it; {restart}"
        )
    return state
