"""The sequential loop that a usual user writes: OpenCV resizes, NumPy normalises and transposes, ONNX Runtime infers, NumPy sorts."""

from __future__ import annotations

from typing import Any

import cv2
import harness
import numpy as np
from onnxruntime_worker import open_session


def centre(frame: Any, height: int, width: int) -> Any:
    """The largest centred part with the aspect ratio height : width."""
    rows, columns = frame.shape[:2]
    part_h, part_w = min(rows, round(columns * height / width)), min(columns, round(rows * width / height))
    top, left = (rows - part_h) // 2, (columns - part_w) // 2
    return frame[top : top + part_h, left : left + part_w]


def load(job: harness.WorkerJob, timed: list[Any]) -> harness.Runner:
    """A float32 1×3×H×W model; frames are RGB already, which spares this loop the usual conversion from BGR. It looks at the same part of
    a frame as ours does. Raises ValueError for a fit that it does not have."""
    import onnxruntime

    cv2.setNumThreads(job.threads)
    session = open_session(job)
    name = session.get_inputs()[0].name
    height, width = job.size_hw_px
    if job.fit not in {"stretch", "centre_crop"}:
        raise ValueError(f"this loop has no fit {job.fit!r}")
    mean, scale = np.float32(job.zero_point), np.float32(job.scale)

    def query(frame: Any) -> list[int]:
        part = frame if job.fit == "stretch" else centre(frame, height, width)
        small = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
        values = (small.astype(np.float32) - mean) * scale
        batch = np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis])
        scores = session.run(None, {name: batch})[0][0]
        top: list[int] = np.argsort(scores)[::-1][: job.top_k].tolist()
        return top

    return harness.Queries("opencv+onnxruntime", f"{cv2.__version__}+{onnxruntime.__version__}", query, list, timed)


if __name__ == "__main__":
    raise SystemExit(harness.serve(load))
