"""ONNX Runtime alone: one session, one input array in, one output array out."""

from __future__ import annotations

from typing import Any

import harness


def open_session(job: harness.WorkerJob) -> Any:
    """With the candidate's own options and that many threads; else the defaults, as a usual user has them."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.threads
    for key, value in job.options.items():
        options.add_session_config_entry(key, value)
    return onnxruntime.InferenceSession(job.model, options, providers=["CPUExecutionProvider"])


def load(job: harness.WorkerJob, timed: list[Any]) -> harness.Runner:
    """The file as it is."""
    import onnxruntime

    session = open_session(job)
    name = session.get_inputs()[0].name

    def query(batch: Any) -> Any:
        return session.run(None, {name: batch})[0]

    return harness.Queries("onnxruntime", onnxruntime.__version__, query, lambda out: harness.best(out, job.top_k), timed)


if __name__ == "__main__":
    raise SystemExit(harness.serve(load))
