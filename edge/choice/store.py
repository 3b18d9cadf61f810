"""Remember choices in the state directory: a small JSON file, keyed by what the choice depends on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

import msgspec

from edge import strict
from edge.bundle.manifest import Strict
from edge.choice.pick import Choice
from edge.errors import DataError
from edge.files import read_regular, write_atomic

_KEEP = 16  # choices; the oldest go first
_LOG = logging.getLogger(__name__)


class StoredChoice(Strict, frozen=True, kw_only=True):
    """One remembered choice, with the table that it was taken from."""

    key: str
    choice: Choice


class _File(Strict, frozen=True, kw_only=True):
    schema: Literal[1]
    choices: tuple[StoredChoice, ...]


class ChoiceStore:
    """``choices.json`` in a camera's state directory. What cannot be read is forgotten (and measured again), never fatal."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def recall(self, key: str) -> Choice | None:
        """The choice made under that key, or None."""
        return next((stored.choice for stored in self._load() if stored.key == key), None)

    def remember(self, key: str, choice: Choice) -> None:
        """Store it, replacing an earlier one under the same key. Raises SinkError."""
        kept = [stored for stored in self._load() if stored.key != key][-(_KEEP - 1) :]
        content = msgspec.json.encode(_File(schema=1, choices=(*kept, StoredChoice(key=key, choice=choice))))
        write_atomic(self._path, msgspec.json.format(content, indent=2) + b"\n", follow=False)

    def _load(self) -> tuple[StoredChoice, ...]:
        try:
            return strict.convert(strict.load_json(self._path, read_regular), _File, self._path, DataError).choices
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, DataError) as error:
            _LOG.warning("remembered choices cannot be read and will be measured again: %s", error)
            return ()
