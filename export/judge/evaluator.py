"""Runs every draft through the evaluation sets and keeps what it answered, for the verdict now and the report later."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from edge.data import F32
from edge.manifest import Gate
from export.candidates import Draft
from export.judge.parity import EvaluationSet, evaluate, pictures_to_run
from export.judge.verdict import decide, settle
from export.load.model import FloatModel
from export.progress import Progress

_THREADS_MAX = 4


class Evaluator:
    """``sets``: the golden set first, then what else decides. ``gate``: as asked for; worked out for this network by ``settle``."""

    def __init__(self, model: FloatModel, sets: Sequence[EvaluationSet], gate: Gate, progress: Progress) -> None:
        self.sets = tuple(sets)
        self.gate = settle(gate, model, sets)
        self.threads = min(_THREADS_MAX, os.cpu_count() or 1)
        self._task = model.task
        self._progress = progress
        self._answers: dict[tuple[str, str], F32] = {}

    def judge(self, draft: Draft) -> Draft:
        """``draft`` with what was measured, whether it passes and why."""
        advance = self._progress(f"judging {draft.plan.name}", pictures_to_run(draft.candidate, self.sets))
        found = evaluate(draft.path, draft.candidate, self.sets, task=self._task, threads=self.threads, advance=advance)
        self._answers[_key(draft)] = found.answers
        candidate = msgspec.structs.replace(draft.candidate, quality=found.quality)
        verdict = decide(candidate, draft.plan, self.sets, self.gate)
        return replace(draft, candidate=candidate, passes=verdict.passes, verdict=verdict.reason)

    def answers(self, draft: Draft) -> F32:
        """What a judged draft answered in the last set, N×C."""
        return self._answers[_key(draft)]


def _key(draft: Draft) -> tuple[str, str]:
    return str(draft.path), repr(sorted(draft.plan.runtime_options.items()))
