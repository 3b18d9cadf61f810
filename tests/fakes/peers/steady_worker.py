"""A peer of known latency that runs in any Python: it sleeps ``options["ms"]`` and says the brightest channel, or what it is told to say.

``options``: ``ms`` a query; ``says``: a class that it always gives; ``dies``: "load" or "round"; ``wait``: hangs in a round."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

sys.path.insert(0, os.environ["SHELFCAM_HARNESS"])

import harness


def load(job: harness.WorkerJob, timed: list[Any]) -> harness.Runner:
    print("a runtime's chatter on standard output")
    os.write(1, b"and from C\n")
    if job.options.get("dies") == "load":
        raise RuntimeError("this file is not to my taste")
    count = 0

    def query(one: Any) -> list[int]:
        nonlocal count
        count += 1
        if job.options.get("dies") == "round" and count > len(timed) + 10:
            raise RuntimeError("out of breath")
        if "wait" in job.options:
            time.sleep(float(job.options["wait"]))
        time.sleep(float(job.options["ms"]) / 1000)
        if "says" in job.options:
            return [int(job.options["says"])]
        return harness.best(one.reshape(-1, 3).mean(axis=0), job.top_k)

    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    return harness.Queries("steady", cores, query, list, timed)


if __name__ == "__main__":
    raise SystemExit(harness.serve(load))
