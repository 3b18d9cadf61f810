"""Our own side, in shelfcam's environment: the bare backend, or ``edge.loop`` with the parts that a file run has.

``options`` name the bundle, the model and the candidate; their file is found through the manifest.
"""

from __future__ import annotations

from benchmarks.peers.workers import harness  # first: it pins this process before anything starts a thread

# isort: split
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2

from benchmarks.measure.share import ShareBench, open_parts
from edge import __version__, loop
from edge.bundle.reader import open_bundle
from edge.choice.loader import ModelLoader
from edge.data import Region
from edge.models import find_candidate, find_model
from edge.preprocess import preprocess
from edge.stages.base import ActiveModel


class Ours:
    """One loaded candidate behind the loop's parts."""

    runtime = "shelfcam"
    version = __version__

    def __init__(self, job: harness.WorkerJob, parts: loop.Parts, model: ActiveModel, timed: list[Any]) -> None:
        self._bare = job.kind == "bare"
        self._model = model
        self._bench = ShareBench(parts, model, timed, timed)

    def round(self, count: int) -> list[float]:
        """Inferences of ready batches, or frames through the spine, from one tick to the next."""
        work = self._bench.bare if self._bare else self._bench.looped
        work(harness.WARM_UP)
        return work(count)

    def answers(self, inputs: Sequence[Any]) -> list[list[int]]:
        """As the loop decodes them."""
        return [self._answer(one) for one in inputs]

    def _answer(self, one: Any) -> list[int]:
        crops = [Region("frame", one)]
        batch = one if self._bare else preprocess(crops, self._model.input)
        return [score.index for score in self._model.decoder.decode(self._model.backend.run(batch), crops)[0].top]


def main() -> int:
    """Serve with an outbox in a folder that goes away afterwards."""
    cv2.setNumThreads(1)  # as edge.run does
    with tempfile.TemporaryDirectory(prefix="shelfcam-bench-") as place, ExitStack() as stack:

        def load(job: harness.WorkerJob, timed: list[Any]) -> harness.Runner:
            bundle = open_bundle(Path(job.options["bundle"]))
            model = find_model(bundle, job.options["model"])
            candidate = find_candidate(model, job.options["candidate"])
            loader = ModelLoader(bundle, model, threads=job.threads, top_k=job.top_k)
            return Ours(job, *stack.enter_context(open_parts(loader, candidate, Path(place))), timed)

        return harness.serve(load)


if __name__ == "__main__":
    raise SystemExit(main())
