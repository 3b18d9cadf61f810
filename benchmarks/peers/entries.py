"""Who takes part: for each candidate our loop and our bare backend, and every peer that can be given its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.peers.contestants import OURS, Kind, Peer
from benchmarks.peers.envs import Disk, Environment, weigh, weigh_ours
from benchmarks.peers.files import (
    FloatOnnx,
    batches,
    float_batches,
    model_bytes,
    pictures,
    write_float_model,
    write_ncnn_model,
)
from benchmarks.peers.workers.harness import WorkerJob
from benchmarks.record.facts import Placed
from benchmarks.record.schema import Missing
from edge.data import Tensor
from edge.errors import BackendError

TOP_K = 5
_OUR_WORKER = "benchmarks.peers.workers.shelfcam_worker"


@dataclass(frozen=True, slots=True)
class Entry:
    """One contestant, ready to start. ``peer`` is None for our own."""

    peer: Peer | None
    kind: Kind
    placed: Placed
    command: tuple[str, ...]
    job: WorkerJob
    disk: Disk
    own_environment: bool
    model_bytes: int
    input: str | None = None
    """What the peer's file takes, in words, where it is not the candidate's own file."""

    @property
    def name(self) -> str:
        """The peer's, or ours."""
        return self.peer.name if self.peer else OURS

    @property
    def title(self) -> str:
        """Unique in a comparison."""
        return f"{self.name}, {self.kind}, {self.placed.candidate.name}"


@dataclass(slots=True)
class Maker:
    """Makes entries, and each file that they need once; what cannot be made goes to ``missing``."""

    place: Path
    threads: int
    environments: dict[str, Environment]
    python: str
    missing: list[Missing] = field(default_factory=list)
    _arrays: dict[str, str] = field(default_factory=dict)
    _float: dict[str, FloatOnnx] = field(default_factory=dict)
    _ours: Disk | None = None

    def ours(self, placed: Placed, kind: Kind) -> Entry:
        """Our loop or our bare backend."""
        if self._ours is None:
            self._ours = weigh_ours()
        options = {
            "bundle": str(placed.bundle.directory.resolve()),
            "model": placed.model.name,
            "candidate": placed.candidate.name,
        }
        path = placed.bundle.path(placed.candidate.model_file)
        job = self._job(placed, kind, path, options)
        return Entry(None, kind, placed, (self.python, "-m", _OUR_WORKER), job, self._ours, True, path.stat().st_size)

    def peer(self, placed: Placed, peer: Peer) -> Entry | None:
        """A peer on that candidate; None if it is absent or cannot be given the file."""
        environment = self.environments.get(peer.name)
        if environment is None or peer.format != placed.candidate.format:
            return None
        try:
            return self._peer(placed, peer, environment)
        except BackendError as error:
            self.missing.append(Missing(name=f"{peer.name}, {placed.candidate.name}", reason=str(error)))
            return None

    def _peer(self, placed: Placed, peer: Peer, environment: Environment) -> Entry:
        path, exchanged = placed.bundle.path(placed.candidate.model_file), None
        if peer.feed != "file":
            exchanged = self._float_model(placed)
            path = exchanged.path if peer.feed == "float" else write_ncnn_model(exchanged, placed, environment, self.place)
        options = dict(peer.options) if peer.options else dict(placed.candidate.runtime_options)
        job = self._job(placed, peer.kind, path, options, exchanged)
        height, width = placed.candidate.input.size_hw_px
        given = f"1×3×{height}×{width} float32 RGB NCHW" if exchanged else None
        command = tuple(environment.command(peer))
        disk = weigh(environment, peer)
        return Entry(peer, peer.kind, placed, command, job, disk, environment.own, model_bytes(peer, path), given)

    def _float_model(self, placed: Placed) -> FloatOnnx:
        name = placed.candidate.name
        if name not in self._float:
            self._float[name] = write_float_model(placed, self.place)
        return self._float[name]

    def _job(
        self, placed: Placed, kind: Kind, model: Path, options: dict[str, str], exchanged: FloatOnnx | None = None
    ) -> WorkerJob:
        timed, judged = pictures(placed)
        if kind == "loop":
            arrays: tuple[Sequence[Tensor], Sequence[Tensor]] = timed, judged
        elif exchanged is not None:
            arrays = float_batches(timed, placed, exchanged), float_batches(judged, placed, exchanged)
        else:
            arrays = batches(timed, placed), batches(judged, placed)
        form = f"{kind}-{'float' if exchanged else 'own'}-{placed.candidate.name}"
        return WorkerJob(
            kind=kind,
            model=str(model.resolve()),
            timed=self._save(f"{form}-timed", arrays[0]),
            judged=self._save(f"{form}-judged", arrays[1]),
            threads=self.threads,
            top_k=TOP_K,
            size_hw_px=placed.candidate.input.size_hw_px,
            fit=placed.candidate.input.resize.fit,
            zero_point=exchanged.zero_point if exchanged else 0.0,
            scale=exchanged.scale if exchanged else 1.0,
            options=options,
        )

    def _save(self, name: str, arrays: Sequence[Tensor]) -> str:
        if name not in self._arrays:
            path = self.place / f"{name}.npy"
            np.save(path, np.stack(arrays))
            self._arrays[name] = str(path)
        return self._arrays[name]
