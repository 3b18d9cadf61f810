"""LiteRT or the classic tflite-runtime alone, whichever ``options["module"]`` names: both have the same ``Interpreter``."""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import Any

import harness


def load(job: harness.WorkerJob, timed: list[Any]) -> harness.Runner:
    """The file as it is."""
    package = job.options["package"]
    interpreter = importlib.import_module(job.options["module"]).Interpreter(model_path=job.model, num_threads=job.threads)
    interpreter.allocate_tensors()
    given, told = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def query(batch: Any) -> Any:
        interpreter.set_tensor(given, batch)
        interpreter.invoke()
        return interpreter.get_tensor(told)

    return harness.Queries(package, version(package), query, lambda out: harness.best(out, job.top_k), timed)


if __name__ == "__main__":
    raise SystemExit(harness.serve(load))
