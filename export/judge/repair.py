"""Which candidates of an export are repaired, and what becomes of the others that are quantized alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from edge.errors import BundleError, DataError
from export.candidates import Draft
from export.convert.all import convert_one
from export.convert.options import QuantizeOptions
from export.convert.workshop import Workshop
from export.judge import repair_search
from export.judge.defaults import Strategy
from export.judge.evaluator import Evaluator
from export.judge.naming import deliberate
from export.judge.sensitivity import LayerError
from export.judge.verdict import is_broken_promise
from export.load.model import FloatModel
from export.progress import Progress
from export.tasks import task_of

BEFORE = "+planned"
"""Behind the name of a candidate that a repair has replaced, as in onnx-int8+planned."""
_INT8 = "int8"


@dataclass(frozen=True, slots=True)
class RepairedDrafts:
    """All drafts, judged: those that were replaced under a name of their own, before those that replace them. ``steps``: for each
    repaired plan what was tried, in order. ``errors``: the layers' sensitivity, if a repair had to know it."""

    drafts: tuple[Draft, ...]
    steps: dict[str, tuple[str, ...]] = field(default_factory=dict)
    errors: tuple[LayerError, ...] = ()


@dataclass(frozen=True, slots=True)
class RepairLimits:
    """How much a repair may do, how large a file may become, and the directory to make for what is tried."""

    strategy: Strategy
    budget_bytes: int
    folder: Path


def repair_drafts(
    drafts: Sequence[Draft], workshop: Workshop, evaluator: Evaluator, limits: RepairLimits, progress: Progress
) -> RepairedDrafts:
    """Repair the static int8 candidates of each format whose first one fails; with ``thorough`` also try to improve those that pass.

    Candidates of one format share one recipe, so the first of them stands for all: what passes for it is made for all, and
    each is judged by itself. One that is not int8 because the converter left layers in float cannot be helped here.
    """
    groups: dict[str, list[Draft]] = {}
    for draft in drafts:
        if draft.plan.arithmetic == _INT8:
            groups.setdefault(draft.plan.format, []).append(draft)
    ill = [
        group
        for group in map(_worst_first, groups.values())
        if (limits.strategy == "thorough" or (limits.strategy != "fast" and not group[0].passes))
        and not is_broken_promise(group[0].candidate, group[0].plan)
    ]
    if not ill:
        return RepairedDrafts(tuple(drafts))
    pictures = repair_search.split(workshop.images)
    if pictures is None:
        few = f"{len(workshop.images)} calibration pictures are too few for a repair, which needs {repair_search.MIN_PICTURES}"
        return RepairedDrafts(tuple(drafts), {group[0].plan.name: (few,) for group in ill})
    bench = _bench(workshop.model, pictures, evaluator, limits, progress)
    repaired, steps = list(drafts), {}
    for group in ill:
        found = repair_search.search(group[0].plan, bench, limits.strategy)
        steps[group[0].plan.name] = found.steps
        if found.draft.passes and not (group[0].passes and found.options == group[0].plan.default_options()):
            for old in group:
                repaired[repaired.index(old) : repaired.index(old) + 1] = _replaced(old, found, bench, evaluator)
        elif not group[0].passes:
            repaired[repaired.index(group[0])] = _with_steps(group[0], group[0].plan.default_options(), found.steps)
    return RepairedDrafts(tuple(repaired), steps, tuple(bench.errors))


def _bench(
    model: FloatModel, pictures: repair_search.RepairPictures, evaluator: Evaluator, limits: RepairLimits, progress: Progress
) -> repair_search.RepairBench:
    limits.folder.mkdir()
    expected = task_of(model.task).float_answers(model, pictures.tuning)
    return repair_search.RepairBench(
        workshop=Workshop(model, pictures.ranges, progress),
        tuning=repair_search.tuning_set(pictures, expected),
        folder=limits.folder,
        judge=evaluator.judge,
        budget_bytes=limits.budget_bytes,
        progress=progress,
        threads=evaluator.threads,
    )


def _replaced(old: Draft, found: repair_search.Repaired, bench: repair_search.RepairBench, evaluator: Evaluator) -> list[Draft]:
    """The draft that was planned, renamed and not to be written, and the repaired one under the plan's own file name."""
    draft = found.draft
    if old.plan.name != found.plan.name:
        try:
            draft = convert_one(bench.workshop, old.plan, found.options, bench.folder)
        except (ValueError, BundleError, DataError):  # what the first of the format can do, this one cannot
            return [old]
        draft = evaluator.judge(deliberate(draft, found.options))
        if draft.candidate.model_file.bytes > bench.budget_bytes or (old.passes and not draft.passes):
            return [old]
    draft = _with_steps(draft, found.options, found.steps)
    file = old.plan.file if draft.candidate.precision == _INT8 else old.plan.file.replace(_INT8, "mixed")
    reference = msgspec.structs.replace(draft.candidate.model_file, file=file)
    candidate = msgspec.structs.replace(draft.candidate, model_file=reference)
    draft = replace(draft, plan=replace(draft.plan, file=file), candidate=candidate)
    before = replace(old, plan=replace(old.plan, name=old.plan.name + BEFORE), passes=False, verdict=_before(old))
    return [before, draft]


def _worst_first(group: list[Draft]) -> list[Draft]:
    """The first that fails stands for its format, if one does."""
    return sorted(group, key=lambda draft: draft.passes)


def _before(old: Draft) -> str:
    return "a repaired one is better" if old.passes else old.verdict


def _with_steps(draft: Draft, options: QuantizeOptions | None, steps: tuple[str, ...]) -> Draft:
    return draft if options is None else deliberate(draft, options, steps)
