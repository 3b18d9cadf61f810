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
        name: of the model, where several lap for themselves: "name/inference".
        answers: names of what it says: a region that wants none of them passes by. None: it is asked about every region.
    """

    def __init__(
        self, models: Models, lap: Callable[[str], None], name: str | None = None, answers: frozenset[str] | None = None
    ) -> None:
        self._models = models
        self._lap = lap
        self._answers = answers
        self._laps = tuple(stage if name is None else f"{name}/{stage}" for stage in ("preprocess", "inference", "decode"))

    def see(self, regions: Sequence[Region]) -> list[Region]:
        """The regions with the model's answers."""
        model = self._models.current()
        asked = [at for at, region in enumerate(regions) if self._answers is None or region.is_asked(self._answers)]
        seen = list(regions)
        if not asked:
            return seen
        mine = [regions[at] for at in asked]
        preprocessed, inferred, decoded = self._laps
        batch = preprocess(mine, model.input)
        self._lap(preprocessed)
        raw = model.backend.run(batch)
        self._lap(inferred)
        for at, region in zip(asked, model.decoder.decode(raw, mine), strict=True):
            seen[at] = region
        self._lap(decoded)
        return seen
