"""The training curve as a picture."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from edge.files import write_atomic
from export.canvas import new_figure, png
from export.train.settings import Epoch

REDRAWN_EVERY_S = 10.0
"""To draw takes half a second, and an epoch of a small network less than that."""


class Curve:
    """The picture at ``path`` beside a training: drawn after the first epoch, then every few seconds, and at ``end``."""

    def __init__(self, path: Path, title: str) -> None:
        self._path, self._title = path, title
        self._drawn_epochs, self._drawn_s = 0, 0.0

    def told(self, history: Sequence[Epoch]) -> None:
        """An epoch is over. Raises SinkError."""
        if not self._drawn_epochs or time.monotonic() >= self._drawn_s + REDRAWN_EVERY_S:
            self.end(history)

    def end(self, history: Sequence[Epoch]) -> None:
        """Draw what is not drawn yet. Raises SinkError."""
        if len(history) > self._drawn_epochs:
            write_curve(self._path, self._title, history)
            self._drawn_epochs, self._drawn_s = len(history), time.monotonic()


def write_curve(path: Path, title: str, history: Sequence[Epoch]) -> None:
    """PNG: losses on the left axis, validation accuracy on the right one; lines differ in style, not only in colour. Raises SinkError."""
    figure = new_figure((8, 4.5), layout="constrained")
    losses = figure.add_subplot()
    numbers = [epoch.epoch + 1 for epoch in history]
    losses.plot(numbers, [epoch.train_loss for epoch in history], "k-", marker="o", markersize=3, label="training loss")
    judged = [epoch for epoch in history if epoch.val_top1 is not None]
    losses.set(title=title, xlabel="epoch", ylabel="loss")
    losses.grid(alpha=0.3)
    handles, names = losses.get_legend_handles_labels()
    if judged:
        at = [epoch.epoch + 1 for epoch in judged]
        losses.plot(at, [epoch.val_loss for epoch in judged], "k--", marker="s", markersize=3, label="validation loss")
        accuracy = losses.twinx()
        accuracy.plot(
            at, [100 * (epoch.val_top1 or 0) for epoch in judged], "b-.", marker="^", markersize=4, label="validation top-1"
        )
        accuracy.set(ylabel="top-1, %", ylim=(0, 100))
        handles, names = (
            a + b for a, b in zip(losses.get_legend_handles_labels(), accuracy.get_legend_handles_labels(), strict=True)
        )
    losses.legend(handles, names, loc="center right")
    write_atomic(path, png(figure))
