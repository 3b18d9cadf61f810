"""What is done about a camera that delivers nothing, step by step, each told with its reason. Pure but for the file it is kept in."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edge.errors import SinkError
from edge.files import read_regular, write_atomic
from edge.strict import Strict

_LOG = logging.getLogger(__name__)

Rung = Literal["reopen", "restart_daemon", "leave", "reboot"]

Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]

_BACKOFF_S, _BACKOFF_MAX_S = 1.0, 60.0
_JITTER = 0.25  # so that a shop's cameras do not all knock at the same recorder at once
DAEMON_WAIT_S = 25.0
"""A camera daemon that was restarted may need so long; its unit restarts it at once, but for a pause after an earlier restart."""


@dataclass(frozen=True, slots=True)
class LadderRules:
    """``reopens``: tries before the next rung; ``daemon``: the unit to ask a restart of, None: that rung is left out; ``leaves``: how
    often the process has ended before a reboot is asked for, None: never."""

    reopens: int = 5
    daemon: str | None = None
    leaves: int | None = None


class Position(Strict, frozen=True, kw_only=True):
    """Where on the ladder a camera is; kept over restarts. ``tries``: reopenings in a row, of all processes, which the pause grows by;
    ``here``: those since the last other rung; ``daemon_asked``: since the last frame; ``left``: processes that ended in a row."""

    schema: Literal[1] = 1
    tries: Count = 0
    here: Count = 0
    daemon_asked: bool = False
    left: Count = 0


@dataclass(frozen=True, slots=True)
class LadderStep:
    """What to do now, after ``wait_s``; ``number``: how many steps there were since the last frame."""

    rung: Rung
    wait_s: float
    number: int


def climb(position: Position, rules: LadderRules, chance: float) -> tuple[Position, LadderStep]:
    """The next step, and the position after it. ``chance`` in [0, 1) spreads the pauses."""
    number = position.tries + position.left + position.daemon_asked + 1
    if position.here < rules.reopens:
        pause_s = min(_BACKOFF_MAX_S, _BACKOFF_S * 2.0 ** min(position.tries, 16))
        wait_s = pause_s * (1 + _JITTER * (2 * chance - 1))
        return _moved(position, tries=position.tries + 1, here=position.here + 1), LadderStep("reopen", wait_s, number)
    if rules.daemon is not None and not position.daemon_asked:
        return _moved(position, daemon_asked=True, here=0), LadderStep("restart_daemon", DAEMON_WAIT_S, number)
    after = _moved(position, here=0, left=position.left + 1)
    if rules.leaves is not None and after.left >= rules.leaves:
        return _moved(after, left=0), LadderStep("reboot", 0.0, number)
    return after, LadderStep("leave", 0.0, number)


def _moved(position: Position, **changes: int) -> Position:
    return msgspec.structs.replace(position, **changes)


class Ladder:
    """A position, kept in a file.

    Args:
        rules: of the site.
        path: where the position is kept; what cannot be read there counts as the ground, what cannot be written is logged.
        random_: spreads the pauses.
    """

    def __init__(self, rules: LadderRules, path: Path, random_: random.Random | None = None) -> None:
        self.rules = rules
        self._path = path
        self._random = random_ or random.Random()
        self.position = _read(path)

    @property
    def on_the_ground(self) -> bool:
        """Whether nothing is wrong."""
        return self.position == Position()

    def climb(self) -> LadderStep:
        """The next step."""
        self.position, step = climb(self.position, self.rules, self._random.random())
        self._keep()
        return step

    def recovered(self) -> int:
        """Frames came again: back to the ground. Returns how many steps it took."""
        steps = self.position.tries + self.position.left + self.position.daemon_asked
        self.position = Position()
        self._keep()
        return steps

    def _keep(self) -> None:
        try:
            write_atomic(self._path, msgspec.json.encode(self.position), follow=False)
        except SinkError as error:
            _LOG.warning("the recovery's position is not kept: %s", error)


def _read(path: Path) -> Position:
    try:
        return msgspec.json.decode(read_regular(path), type=Position)
    except (OSError, ValueError, RecursionError):
        return Position()
