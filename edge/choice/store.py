"""What a camera's state directory remembers of candidates: choices and trials, two small JSON files that are replaced whole."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

import msgspec

from edge import strict
from edge.choice.pick import Choice
from edge.errors import DataError
from edge.files import read_regular, write_atomic
from edge.strict import Count, Strict

_KEEP_CHOICES = 16  # the oldest go first
_KEEP_TRIALS = 64
_FILE_MAX_BYTES = 4_000_000
_LOG = logging.getLogger(__name__)

Key = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class StoredChoice(Strict, frozen=True, kw_only=True):
    """One remembered choice, with the table that it was taken from."""

    key: str
    choice: Choice


class Trial(Strict, frozen=True, kw_only=True):
    """What came of letting a candidate answer the golden pictures in a process of its own (``edge.choice.trial``).

    ``bundle``, ``candidate``: what was tried, for people; ``reason``: why it failed, None if it passed; ``tried_utc``: when; ``deaths``:
    how often in a row the camera's process died inside this candidate, though it had passed.
    """

    key: Key
    bundle: str
    candidate: str
    tried_utc: str
    reason: str | None = None
    deaths: Count = 0


class _Choices(Strict, frozen=True, kw_only=True):
    schema: Literal[1]
    choices: tuple[StoredChoice, ...]


class _Trials(Strict, frozen=True, kw_only=True):
    schema: Literal[1]
    trials: tuple[Trial, ...]


F = TypeVar("F", _Choices, _Trials)


class ChoiceStore:
    """``choices.json`` in a camera's state directory. What cannot be read is forgotten (and measured again), never fatal."""

    def __init__(self, path: Path) -> None:
        self._file = _File(path, _Choices, "remembered choices cannot be read and will be measured again")

    def recall(self, key: str) -> Choice | None:
        """The choice made under that key, or None."""
        return next((stored.choice for stored in self._load() if stored.key == key), None)

    def remember(self, key: str, choice: Choice) -> None:
        """Store it, replacing an earlier one under the same key. Raises SinkError."""
        kept = [stored for stored in self._load() if stored.key != key][-(_KEEP_CHOICES - 1) :]
        self._file.write(_Choices(schema=1, choices=(*kept, StoredChoice(key=key, choice=choice))))

    def _load(self) -> tuple[StoredChoice, ...]:
        found = self._file.read()
        return () if found is None else found.choices


class TrialStore:
    """``trials.json`` in a camera's state directory. What cannot be read is forgotten (and tried again), never fatal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _File(path, _Trials, "remembered trials cannot be read, so bundles will be tried again")

    def recall(self, key: str) -> Trial | None:
        """What came of the trial under that key, or None."""
        return next((trial for trial in self._load() if trial.key == key), None)

    def remember(self, trial: Trial) -> None:
        """Store it, replacing an earlier one under the same key. Raises SinkError."""
        kept = [other for other in self._load() if other.key != trial.key][-(_KEEP_TRIALS - 1) :]
        self._file.write(_Trials(schema=1, trials=(*kept, trial)))

    def _load(self) -> tuple[Trial, ...]:
        found = self._file.read()
        return () if found is None else found.trials


class _File(Generic[F]):
    """``forgotten`` is said when it cannot be read."""

    def __init__(self, path: Path, kind: type[F], forgotten: str) -> None:
        self._path = path
        self._kind: type[F] = kind
        self._forgotten = forgotten

    def read(self) -> F | None:
        try:
            return strict.convert(strict.load_json(self._path, _read), self._kind, self._path, DataError)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, DataError) as error:
            _LOG.warning("%s: %s", self._forgotten, error)
            return None

    def write(self, content: F) -> None:
        write_atomic(self._path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n", follow=False)


def _read(path: Path) -> bytes:
    return read_regular(path, _FILE_MAX_BYTES)
