"""The sequential loop that a usual user writes: OpenCV resizes, NumPy normalises and transposes, ONNX Runtime infers, NumPy sorts."""

from __future__ import annotations

from typing import Any

import cv2
import harness
import numpy as np
from onnxruntime_worker import open_session


def load(task: harness.Task, timed: list[Any]) -> harness.Peer:
    """A float32 1×3×H×W model; frames are RGB already, which spares this loop the usual conversion from BGR."""
    import onnxruntime

    cv2.setNumThreads(task.threads)
    session = open_session(task)
    name = session.get_inputs()[0].name
    height, width = task.size_hw_px
    mean, scale = np.float32(task.zero_point), np.float32(task.scale)

    def query(frame: Any) -> list[int]:
        small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        values = (small.astype(np.float32) - mean) * scale
        batch = np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis])
        scores = session.run(None, {name: batch})[0][0]
        top: list[int] = np.argsort(scores)[::-1][: task.top_k].tolist()
        return top

    return harness.Queries("opencv+onnxruntime", f"{cv2.__version__}+{onnxruntime.__version__}", query, list, timed)


if __name__ == "__main__":
    raise SystemExit(harness.serve(load))
