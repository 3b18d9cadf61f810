"""How long a test waits before it calls something stuck: generously, and longer where the machine is slow or busy.

A wait ends on its condition. The bound only keeps a hang from lasting for ever, so that no verdict depends on speed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 300.0
"""On a quiet machine, where nothing that a test waits for takes a tenth of it."""

_WORK = 200_000
_WORK_S = 0.015  # on a quiet core of a server of 2022
_FRESH_S = 20.0
_measured = {"at_s": -_FRESH_S, "factor": 1.0}


def slowness() -> float:
    """How many times longer a fixed piece of work takes here than on a quiet machine; at least 1.

    Measured again after a while; the largest so far counts, as a busy machine has its quiet moments.
    """
    start_s = time.monotonic()
    if start_s - _measured["at_s"] >= _FRESH_S:
        sum(number * number for number in range(_WORK))
        _measured["at_s"] = time.monotonic()
        _measured["factor"] = max(_measured["factor"], (_measured["at_s"] - start_s) / _WORK_S)
    return _measured["factor"]


def patience_s() -> float:
    """The time limit of one wait: for a process, a thread or an answer."""
    return PATIENCE_S * slowness()


def wait_until(condition: Callable[[], object], what: str | Callable[[], str] = "", *, every_s: float = 0.01) -> None:
    """Until it holds; fails with ``what`` after ``patience_s()``."""
    start_s = time.monotonic()
    while not condition():
        waited_s = time.monotonic() - start_s
        if waited_s > PATIENCE_S and waited_s > patience_s():
            raise AssertionError(f"not within {waited_s:.0f} s: {what if isinstance(what, str) else what()}")
        time.sleep(every_s)
