"""An 8-bit candidate that fails its gate is quantized again, more carefully step by step, until it passes or nothing is left to try.

Which step helps is decided on tuning pictures: a quarter of the calibration pictures, which from then on give no ranges. The gate, on
pictures that none of this has seen, is asked after each step that helped there, and the first that passes is taken; the recorded steps
show how often it was asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge.data import F32, U8Image
from edge.errors import BundleError, DataError
from edge.gate import Measured
from edge.tasks import task_of
from export.candidates import Draft, Plan
from export.convert.all import convert_one
from export.convert.options import Calibration, QuantizeOptions
from export.convert.workshop import Workshop
from export.judge import sensitivity
from export.judge.defaults import Strategy
from export.judge.naming import deliberate, describe
from export.judge.parity import EvaluationSet, evaluate, pictures_to_run
from export.judge.sensitivity import LayerError
from export.progress import Progress

TUNING_EVERY = 4
"""Every fourth calibration picture tunes."""
MIN_PICTURES = 24
"""Fewer leave too little on either side."""
_SENSITIVITY_PICTURES = 8
_CALIBRATIONS: dict[Strategy, tuple[Calibration, ...]] = {
    "fast": (),
    "balanced": ("percentile", "mse"),
    "thorough": ("percentile", "percentile-99.9", "mse", "entropy"),
}
_FLOAT_LAYERS: dict[Strategy, tuple[int, ...]] = {"fast": (), "balanced": (1, 2, 4, 8), "thorough": (1, 2, 4, 8, 12, 16)}
_NOISE = 1e-4  # of cosine: less is no improvement

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RepairPictures:
    """The two parts of the calibration pictures, N×H×W×3 uint8 RGB: ``ranges`` quantize, ``tuning`` chooses."""

    ranges: U8Image
    tuning: U8Image


def split(calibration: U8Image) -> RepairPictures | None:
    """Every fourth picture tunes; None if there are too few."""
    if len(calibration) < MIN_PICTURES:
        return None
    tunes = [i % TUNING_EVERY == TUNING_EVERY - 1 for i in range(len(calibration))]
    return RepairPictures(calibration[[not t for t in tunes]], calibration[tunes])


@dataclass(slots=True)
class RepairBench:
    """What all repairs of one network share. ``judge`` asks the gate about a draft; ``threads`` run the candidates."""

    workshop: Workshop
    tuning: EvaluationSet
    folder: Path
    judge: Callable[[Draft], Draft]
    budget_bytes: int
    progress: Progress
    threads: int
    errors: list[LayerError] = field(default_factory=list)

    def sensitivity(self) -> list[LayerError]:
        """Of every layer, the worst first; measured once."""
        if not self.errors:
            pictures = self.workshop.images[:_SENSITIVITY_PICTURES]
            self.errors = sensitivity.measure(self.workshop.model, pictures, progress=self.progress)
        return self.errors


@dataclass(frozen=True, slots=True)
class Repaired:
    """The best that was found for ``plan``, judged; it may still fail. ``steps`` say what was tried and what it changed."""

    plan: Plan
    draft: Draft
    options: QuantizeOptions
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Trial:
    draft: Draft
    options: QuantizeOptions
    measured: Measured


def search(plan: Plan, bench: RepairBench, strategy: Strategy) -> Repaired:
    """Try the strategy's steps for one static int8 ``plan``, greedily: a step stays if the tuning pictures say that it helps.

    ``balanced`` stops at the first that passes its gate; ``thorough`` first tries every combination that keeps all layers in 8 bits,
    and takes the best.
    """
    search = _Search(plan, bench)
    search.begin()
    if strategy == "thorough":
        search.take_best(_combinations(plan))
    else:
        for options in _one_by_one(plan, _CALIBRATIONS[strategy], search):
            if search.step(options) and search.passes():
                return search.result()
    if not search.passes():
        for count in _FLOAT_LAYERS[strategy]:
            layers = tuple(error.layer for error in bench.sensitivity()[:count])
            if len(layers) == count and search.step(replace(search.best.options, float_layers=layers)) and search.passes():
                break
    return search.result()


class _Search:
    """The best so far, and the story of how it was found."""

    def __init__(self, plan: Plan, bench: RepairBench) -> None:
        self._plan = plan
        self._bench = bench
        self._steps: list[str] = []
        self._judged: dict[QuantizeOptions, Draft] = {}
        self.best: _Trial

    def begin(self) -> None:
        """Measure the plan's own recipe on the tuning pictures."""
        options = self._plan.default_options()
        assert options is not None  # static int8 plans have some
        self.best = self._try(options)
        self._tell("as planned", self.best, "")

    def step(self, options: QuantizeOptions) -> bool:
        """Whether ``options`` are better than the best so far, and now are it."""
        trial = self._attempt(options)
        return trial is not None and self._keep(trial)

    def take_best(self, options: Sequence[QuantizeOptions]) -> None:
        """The best of all ``options`` and of what was there."""
        for one in options:
            self.step(one)

    def passes(self) -> bool:
        """Ask the gate about the best, once for each."""
        options = self.best.options
        if options not in self._judged:
            judged = self._bench.judge(self.best.draft)
            self._judged[options] = judged
            self._steps.append(f"gate: {judged.verdict}")
        return self._judged[options].passes

    def result(self) -> Repaired:
        """The best, judged."""
        self.passes()
        return Repaired(self._plan, self._judged[self.best.options], self.best.options, tuple(self._steps))

    def _attempt(self, options: QuantizeOptions) -> _Trial | None:
        try:
            trial = self._try(options)
        except (ValueError, DataError, BundleError) as error:  # this network or converter cannot do it: others may help
            self._steps.append(f"{describe(options, self.best.options)}: not possible: {error}")
            return None
        if trial.draft.candidate.model_file.bytes > self._bench.budget_bytes:
            self._steps.append(
                f"{describe(options, self.best.options)}: {trial.draft.candidate.model_file.bytes:,} bytes, over the budget"
            )
            return None
        return trial

    def _try(self, options: QuantizeOptions) -> _Trial:
        bench = self._bench
        draft = deliberate(convert_one(bench.workshop, self._plan, options, bench.folder), options)
        advance = bench.progress(
            f"trying {self._plan.name}: {describe(options)}", pictures_to_run(draft.candidate, [bench.tuning])
        )
        task = bench.workshop.model.task
        found = evaluate(draft.path, draft.candidate, [bench.tuning], task=task, threads=bench.threads, advance=advance)
        return _Trial(draft, options, bench.tuning.measure(found.answers, task_of(task), draft.candidate.outputs))

    def _keep(self, trial: _Trial) -> bool:
        gain = trial.measured.logit_cosine - self.best.measured.logit_cosine
        better = gain > _NOISE
        self._tell(describe(trial.options, self.best.options), trial, f" ({gain:+.4f}), {'kept' if better else 'dropped'}")
        if better:
            self.best = trial
        return better

    def _tell(self, what: str, trial: _Trial, comment: str) -> None:
        cosine = f"cosine {trial.measured.logit_cosine:.4f} on {trial.measured.images} tuning pictures"
        self._steps.append(f"{what}: {cosine}{comment}; {trial.draft.candidate.int8_mac_share:.1%} in 8 bits")


def _one_by_one(plan: Plan, calibrations: Sequence[Calibration], search: _Search) -> Iterator[QuantizeOptions]:
    """Each step on top of what was best when it is its turn."""
    for calibration in calibrations:
        yield replace(search.best.options, calibration=calibration)
    yield replace(search.best.options, equalise=True)
    if plan.format == "onnx":
        yield replace(search.best.options, weight_bits=8)


def _combinations(plan: Plan) -> list[QuantizeOptions]:
    start = plan.default_options()
    assert start is not None  # static int8 plans have some
    found = [
        replace(start, calibration=calibration, equalise=equalise, symmetric=symmetric)
        for calibration in ("min-max", *_CALIBRATIONS["thorough"])
        for equalise in (False, True)
        for symmetric in ((False, True) if calibration == "min-max" else (False,))
    ]
    if plan.format == "onnx":
        found += [replace(options, weight_bits=8) for options in found if not options.symmetric]
    return [options for options in found if options != start]


def tuning_set(pictures: RepairPictures, expected: F32) -> EvaluationSet:
    """The tuning pictures with the float network's answers."""
    return EvaluationSet(pictures.tuning, expected, "held_out")
