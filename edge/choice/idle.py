"""Is the machine idle enough to measure on? With another job on a core, ONNX Runtime on all cores was found three to five times slower,
so a choice made then is a choice about the other job.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

BUSY_SHARE_MAX = 0.35
"""Of all CPU time. A camera loop at 10 frames a second stays well below; a file that is read at full speed does not."""

SAMPLE_S = 2.0
PATIENCE_S = 60.0

_IDLE_FIELDS = (3, 4)  # idle and iowait in the first line of /proc/stat, in ticks (proc_stat(5))


def busy_share(sleep: Callable[[float], object], seconds: float = SAMPLE_S) -> float:
    """The share of all CPU time in the next ``seconds`` that went to anything; 0 where the system does not tell."""
    before = _ticks()
    sleep(seconds)
    after = _ticks()
    if before is None or after is None or after[1] == before[1]:
        return 0.0
    return (after[0] - before[0]) / (after[1] - before[1])


def wait_until_idle(sleep: Callable[[float], object], *, patience_s: float = PATIENCE_S) -> bool:
    """Sleep until the machine is idle enough; False if it was not within ``patience_s``."""
    return any(busy_share(sleep) <= BUSY_SHARE_MAX for _ in range(max(1, round(patience_s / SAMPLE_S))))


def _ticks() -> tuple[int, int] | None:
    """(busy, all) ticks of all CPUs since boot."""
    try:
        fields = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    return sum(fields) - sum(fields[i] for i in _IDLE_FIELDS), sum(fields)
