"""What recognises for a site: the models of its bundle, one or a pipeline of several, as the one stage that the loop asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from edge import models
from edge.bundle.reader import Bundle
from edge.choice.loader import ChoosingModels, FixedModel, ModelLoader
from edge.choice.pick import Choice
from edge.data import Region
from edge.fallback import First
from edge.manifest import Step
from edge.stages.base import Stage
from edge.stages.model import ModelStage
from edge.stages.pipeline import CutStage, Pipeline

Moved = Callable[["RunningModel", Choice, bool], None]
"""Called in the loop's thread when one of the models has chosen its candidate, with whether the machine was idle."""


@dataclass(slots=True)
class RunningModel:
    """One model of the pipeline; ``reason``: why this candidate."""

    loader: ModelLoader
    models: FixedModel | ChoosingModels
    reason: str

    @property
    def name(self) -> str:
        """ "model/candidate"."""
        return f"{self.loader.model.name}/{self.models.current().candidate}"


class Recogniser:
    """Owns what ``first`` loaded, from the call on.

    Args:
        first: what to begin with.
        live: whether the source is a camera, beside which there is time to measure.
        moved: as its type says.
        lap: of the stopwatch; with several models each laps for itself, as "model/inference".

    Raises:
        ProviderError: the site insists on one that cannot be had; then everything is closed.
    """

    def __init__(self, first: First, live: bool, moved: Moved, lap: Callable[[str], None]) -> None:
        self._live, self._moved, self._lap = live, moved, lap
        self._take(first)

    def see(self, regions: Sequence[Region]) -> list[Region]:
        """What the models say of them, in order. What one of them crops is found, whoever wants it."""
        if self._cropped:
            regions = [r if r.wants is None else replace(r, wants=r.wants | self._cropped) for r in regions]
        return self._stage.see(regions)

    def swap(self, first: First) -> None:
        """Between two ticks: other models answer from the next one on. Raises as the constructor; then nothing has changed."""
        old = self._running
        self._take(first)
        for one in old:
            one.models.close()

    @property
    def bundle(self) -> Bundle:
        """Whose models run."""
        return self._bundle

    @property
    def running(self) -> tuple[RunningModel, ...]:
        """In the order in which they are asked."""
        return self._running

    @property
    def name(self) -> str:
        """ "model/candidate", several joined by " + "."""
        return " + ".join(one.name for one in self._running)

    @property
    def candidates(self) -> str:
        """Those that answer now, joined likewise."""
        return " + ".join(one.models.current().candidate for one in self._running)

    @property
    def reason(self) -> str:
        """Why these candidates."""
        if len(self._running) == 1:
            return self._running[0].reason
        return "; ".join(f"{one.loader.model.name}: {one.reason}" for one in self._running)

    def close(self) -> None:
        """Free the runtimes."""
        for one in self._running:
            one.models.close()

    def _take(self, first: First) -> None:
        running: list[RunningModel] = []
        with ExitStack() as stack:
            for ready in first.ready:
                stack.callback(ready.active.backend.close)  # closing twice does no harm
            for ready in first.ready:
                number = len(running)

                def moved(choice: Choice, idle: bool, number: int = number) -> None:
                    self._moved(self._running[number], choice, idle)

                made, reason = models.build_models(ready.loader, (ready.active, ready.reason), self._live, moved)
                stack.callback(made.close)
                running.append(RunningModel(ready.loader, made, reason))
            stack.pop_all()
        self._bundle, self._running = first.bundle, tuple(running)
        self._stage = _stage(first.steps, running, self._lap)
        self._cropped = frozenset(step.crop for step in first.steps if step.crop is not None)


def _stage(steps: Sequence[Step], running: Sequence[RunningModel], lap: Callable[[str], None]) -> Stage:
    stages: list[Stage] = []
    for step, one in zip(steps, running, strict=True):
        if step.crop is not None:
            stages.append(CutStage(step.crop, step.padding))
        answers = frozenset(answer.name for answer in one.loader.model.answers)
        stages.append(ModelStage(one.models, lap, name=None if len(steps) == 1 else step.model, answers=answers))
    return stages[0] if len(stages) == 1 else Pipeline(stages)
