"""The curve beside a training: there from the first epoch on, whole at the end, and not drawn more often than it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from export.train import curve
from export.train.curve import REDRAWN_EVERY_S, Curve
from export.train.settings import Epoch


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many epochs each drawing showed."""
    counts: list[int] = []

    def write(_path: Path, _title: str, history: Sequence[Epoch]) -> None:
        counts.append(len(history))

    monkeypatch.setattr(curve, "write_curve", write)
    return counts


def test_it_is_drawn_at_once_then_now_and_then_and_at_the_end(drawn: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [100.0]
    monkeypatch.setattr(curve.time, "monotonic", lambda: now_s[0])
    nothing = {"side_px": 32, "learning_rate": 0.1, "train_loss": 1.0, "val_loss": None, "val_top1": None, "seconds": 0.0}
    epochs = [Epoch(epoch=number, phase="whole", **nothing) for number in range(5)]
    made = Curve(Path("x.png"), "x")
    for count, wait_s in ((1, 0.0), (2, 1.0), (3, REDRAWN_EVERY_S), (4, 0.0)):
        now_s[0] += wait_s
        made.told(epochs[:count])
    assert drawn == [1, 3]
    made.end(epochs)
    made.end(epochs)
    assert drawn == [1, 3, 5], "nothing is drawn twice"
