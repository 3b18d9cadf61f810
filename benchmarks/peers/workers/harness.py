"""The worker's side of a comparison: JSON lines on standard input and output, and a loop of timed queries.

Runs in environments that have numpy and one inference runtime and not shelfcam: nothing else is imported here.

The first line is the job (``WorkerJob``, as an object); the answer tells the runtime and the first result. After it,
``{"do": "round", "count": N}`` gives ``{"times_ms": [...]}`` of N timed queries in turn over the timed inputs, after ``WARM_UP``
untimed ones; ``{"do": "answers", "which": "timed" | "judged"}`` gives ``{"top": [[index, ...], ...]}``, best class first, for each
input once. The end of the input ends the worker. An error ends it too, with a traceback on standard error.
"""

from __future__ import annotations

import os
import sys

if os.environ.get("SHELFCAM_CORES"):  # before numpy or a runtime starts a thread: threads inherit it
    os.sched_setaffinity(0, {int(core) for core in os.environ["SHELFCAM_CORES"].split(",")})

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

WARM_UP = 3
"""Untimed queries before each round: while others had the cores, caches went cold and threads went to sleep."""


@dataclass(frozen=True)
class WorkerJob:
    """What to run. ``model``: the file. ``timed`` and ``judged``: .npy files; for a ``bare`` worker N ready batches of one crop
    (N×1×…), for a ``loop`` worker N frames (N×H×W×3 uint8 RGB). ``size_hw_px``, ``fit``, ``zero_point`` and ``scale`` are for loops that
    resize and normalise themselves: (pixel − zero_point)·scale; ``fit`` as in the manifest. ``options``: the runtime's own."""

    kind: str
    model: str
    timed: str
    judged: str
    threads: int
    top_k: int
    size_hw_px: tuple[int, int]
    fit: str
    zero_point: float
    scale: float
    options: dict[str, str]


class Runner(Protocol):
    """What a worker serves."""

    runtime: str
    version: str

    def round(self, count: int) -> list[float]:
        """Milliseconds of ``count`` queries over the timed inputs."""
        ...

    def answers(self, inputs: Sequence[Any]) -> list[list[int]]:
        """The best ``top_k`` classes of each input."""
        ...


@dataclass
class Queries:
    """A peer that answers one query after the other. ``query``: one input → the runtime's result; ``top``: that result → the best
    classes. A loop's query decodes within the timed part, so its ``top`` only unpacks."""

    runtime: str
    version: str
    query: Callable[[Any], Any]
    top: Callable[[Any], list[int]]
    timed: Sequence[Any]

    def round(self, count: int) -> list[float]:
        """Each query from its input to its result, timed alone."""
        query, inputs, now = self.query, self.timed, time.perf_counter_ns
        for index in range(WARM_UP):
            query(inputs[index % len(inputs)])
        times = [0.0] * count
        for index in range(count):
            start = now()
            query(inputs[index % len(inputs)])
            times[index] = (now() - start) / 1e6
        return times

    def answers(self, inputs: Sequence[Any]) -> list[list[int]]:
        """Untimed."""
        return [self.top(self.query(one)) for one in inputs]


def best(scores: Any, top_k: int) -> list[int]:
    """Indices of the ``top_k`` largest of the scores of one crop, of any shape; ties go to the lower index."""
    flat = np.asarray(scores).reshape(-1)
    order: list[int] = np.argsort(-flat.astype(np.float32), kind="stable")[:top_k].tolist()
    return order


def serve(load: Callable[[WorkerJob, list[Any]], Runner]) -> int:
    """Read the job, load it with ``load`` (the job and the timed inputs), then answer until the input ends.

    What a runtime prints goes to standard error: standard output carries answers alone.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    words = json.loads(sys.stdin.readline())
    job = WorkerJob(**(words | {"size_hw_px": tuple(words["size_hw_px"])}))
    timed = list(np.load(job.timed))
    peer = load(job, timed)
    first = peer.answers(timed[:1])[0]
    version = ".".join(map(str, sys.version_info[:3]))
    say({"runtime": peer.runtime, "version": peer.version, "python": version, "first": first})
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "round":
            say({"times_ms": peer.round(asked["count"])})
        else:
            say({"top": peer.answers(timed if asked["which"] == "timed" else list(np.load(job.judged)))})
    return 0
