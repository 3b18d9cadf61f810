"""OpenCV's own DNN module alone, on an ONNX file with a float32 1×3×H×W input."""

from __future__ import annotations

from typing import Any

import cv2
import harness


def load(job: harness.WorkerJob, timed: list[Any]) -> harness.Runner:
    """Raises cv2.error for a file with layers that it does not know."""
    cv2.setNumThreads(job.threads)
    net = cv2.dnn.readNetFromONNX(job.model)

    def query(batch: Any) -> Any:
        net.setInput(batch)
        return net.forward()

    return harness.Queries("opencv-dnn", cv2.__version__, query, lambda out: harness.best(out, job.top_k), timed)


if __name__ == "__main__":
    raise SystemExit(harness.serve(load))
