"""A model as a stage: preprocess, run, decode."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge.data import Region
from edge.preprocess import preprocess
from edge.stages.base import Models


class ModelStage:
    """Asks one model about all regions at once.

    Args:
        models: which candidate answers at each tick.
        lap: books the time since its last call to "preprocess", "inference" or "decode" (``edge.monitor.stopwatch.Stopwatch.lap``).
    """

    def __init__(self, models: Models, lap: Callable[[str], None]) -> None:
        self.models = models
        self._lap = lap

    def see(self, regions: Sequence[Region]) -> list[Region]:
        """The regions with the model's answer."""
        model = self.models.current()
        if not regions:
            return []
        batch = preprocess(regions, model.input)
        self._lap("preprocess")
        raw = model.backend.run(batch)
        self._lap("inference")
        seen = model.decoder.decode(raw, regions)
        self._lap("decode")
        return seen
