from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import workers
from benchmarks.peers.contest import ContestSettings, contest
from benchmarks.peers.contestants import Kind, Peer
from benchmarks.peers.entries import Entry
from benchmarks.peers.envs import Disk
from benchmarks.peers.judge import JudgedEntry, judge
from benchmarks.peers.workers.harness import WorkerJob
from benchmarks.record.facts import Placed
from benchmarks.record.schema import Missing
from edge.bundle.reader import open_bundle
from tests.conftest import ROOT
from tests.fakes.tiny import COLOURS, SIZE, picture


@pytest.fixture
def fake_entry(tmp_path: Path, colour_bundle: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes contestants that run the steady worker; ``name`` None is our own side."""
    monkeypatch.setenv("SHELFCAM_HARNESS", str(Path(workers.__file__).parent))
    frames = np.stack([picture(colour, SIZE, SIZE) for colour in COLOURS])
    np.save(tmp_path / "frames.npy", frames)
    bundle = open_bundle(colour_bundle)
    placed = Placed(bundle, bundle.manifest.models[0], bundle.manifest.models[0].candidates[0])
    script = str(ROOT / "tests" / "fakes" / "peers" / "steady_worker.py")

    def make(name: str | None, kind: Kind = "loop", **options: str) -> Entry:
        job = WorkerJob(
            kind=kind,
            model="none",
            timed=str(tmp_path / "frames.npy"),
            judged=str(tmp_path / "frames.npy"),
            threads=1,
            top_k=3,
            size_hw_px=(SIZE, SIZE),
            fit="centre_crop",
            zero_point=0.0,
            scale=1.0,
            options={"ms": "1"} | options,
        )
        peer = Peer(name, "steady_worker.py", kind, "onnx", "file", (), ()) if name else None
        return Entry(peer, kind, placed, (sys.executable, script), job, Disk(1_000_000, None), True, 10)

    return make


@pytest.fixture
def settings() -> ContestSettings:
    """Three short rounds on the last core."""
    return ContestSettings(threads=1, cores=(max(os.sched_getaffinity(0)),), rounds=3, seconds=0.03, starts=2)


@pytest.fixture
def judge_all(settings: ContestSettings):
    """Lets entries run in turn; returns those that took part to the end, judged, and what is missing."""

    def run(*entries: Entry) -> tuple[list[JudgedEntry], list[Missing]]:
        return judge(contest(entries, settings, lambda text: None, lambda: None), settings)

    return run
