"""Raw outputs → observations. Pure NumPy; one module a task."""

from __future__ import annotations

from collections.abc import Sequence

from edge.bundle.manifest import Candidate, Model
from edge.errors import BundleError
from edge.tasks.classify import Classify


def build_task(model: Model, candidate: Candidate, labels: Sequence[str], top_k: int) -> Classify:
    """The decoder of a candidate's outputs.

    Raises:
        BundleError: this version cannot run the model's task.
    """
    if model.task != "classify":
        raise BundleError(f"model {model.name!r}: task {model.task!r} cannot be run by this version; it runs: classify")
    return Classify(candidate.outputs[0], labels, top_k)
