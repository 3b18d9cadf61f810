"""MediaPipe Tasks' ImageClassifier in VIDEO mode: a frame in, the best classes out; it resizes and decodes itself.

It takes no thread count: what holds it to as many cores as the others is that it is pinned to them.
"""

from __future__ import annotations

from typing import Any

import harness
import mediapipe
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import ImageClassifier, ImageClassifierOptions, RunningMode

FRAME_MS = 33  # its clock must run forward; it does not wait for it


def load(job: harness.WorkerJob, timed: list[Any]) -> harness.Runner:
    """The file as it is; it needs a uint8 or float input, and for a float one its metadata."""
    options = ImageClassifierOptions(
        base_options=BaseOptions(model_asset_path=job.model), running_mode=RunningMode.VIDEO, max_results=job.top_k
    )
    classifier = ImageClassifier.create_from_options(options)
    clock_ms = 0

    def query(frame: Any) -> list[int]:
        nonlocal clock_ms
        clock_ms += FRAME_MS
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=frame)
        result = classifier.classify_for_video(image, clock_ms)
        return [category.index for category in result.classifications[0].categories]

    return harness.Queries("mediapipe", mediapipe.__version__, query, list, timed)


if __name__ == "__main__":
    raise SystemExit(harness.serve(load))
