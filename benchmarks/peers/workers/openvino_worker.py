"""OpenVINO alone on the CPU, on the ONNX file as it is, with its latency hint."""

from __future__ import annotations

from typing import Any

import harness
import openvino


def load(job: harness.WorkerJob, timed: list[Any]) -> harness.Runner:
    """The batch is fixed to one crop; float stays float32 (its default would be bfloat16 where a CPU has that)."""
    core = openvino.Core()
    model = core.read_model(job.model)
    model.reshape({model.inputs[0].any_name: list(timed[0].shape)})
    settings = {
        "INFERENCE_NUM_THREADS": job.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()

    def query(batch: Any) -> Any:
        return request.infer([batch])[0]

    number = openvino.__version__.split("-")[0]
    return harness.Queries("openvino", number, query, lambda out: harness.best(out, job.top_k), timed)


if __name__ == "__main__":
    raise SystemExit(harness.serve(load))
