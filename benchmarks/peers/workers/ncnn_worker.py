"""ncnn alone on the CPU, on a ``.param`` file with its ``.bin`` beside it; its own defaults choose the arithmetic (fp16 where the CPU
has it)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import harness
import ncnn
import numpy as np


def load(job: harness.WorkerJob, timed: list[Any]) -> harness.Runner:
    """Raises RuntimeError for a network that it does not load."""
    net = ncnn.Net()
    net.opt.num_threads = job.threads
    net.opt.use_vulkan_compute = False
    if net.load_param(job.model) or net.load_model(str(Path(job.model).with_suffix(".bin"))):
        raise RuntimeError(f"ncnn does not load {Path(job.model).name}")
    given, told = net.input_names()[0], net.output_names()[0]

    def query(batch: Any) -> Any:
        extractor = net.create_extractor()
        extractor.input(given, ncnn.Mat(batch[0]))
        code, out = extractor.extract(told)
        if code:
            raise RuntimeError(f"ncnn ended a query with {code}")
        return np.array(out)

    return harness.Queries("ncnn", ncnn.__version__, query, lambda out: harness.best(out, job.top_k), timed)


if __name__ == "__main__":
    raise SystemExit(harness.serve(load))
