"""Resident memory of a ``shelfcam run --config`` that watches slots for a long time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure.memory import MemoryRun, reading_marks
from benchmarks.measure.service import Installation, Service
from edge.config import CameraConfig, DeviceConfig, StateConfig, state_directory
from edge.errors import BackendError
from edge.scene.shelf import ShelfScene
from edge.shelf import reference
from edge.shelf.reference import Reference

SIZE_HW_PX = (360, 480)
"""A sixth of the pixels of the scripted shelves: memory that grows with frames or events grows here as well, and sooner."""
SEED = 1
SOURCE = f"synthetic:fps=0,seed={SEED},size={SIZE_HW_PX[1]}x{SIZE_HW_PX[0]}"
"""Drawn when the loop asks: as fast as the loop is. Its eight slots change every six seconds of the scene, 60 frames."""
EARLY_SHARE = 0.1
"""The first reading that counts: by then every slot was inferred, and the stopwatch and the outbox have their sizes."""
_FRAME_TIMEOUT_S, _START_TIMEOUT_S = 0.2, 300.0
_CAMERA = "bench"


def watch_shelf_memory(installation: Installation, frames: int, advance: Callable[[int], None]) -> MemoryRun:
    """Run until ``frames`` frames went through, then stop it with SIGTERM.

    A reading is taken at the first event of a slot at or after each mark; the child may be some events ahead of it.

    Raises:
        BackendError: it ended early, or not well.
    """
    early = max(1, round(frames * EARLY_SHARE))
    marks = reading_marks(early, frames)
    config = write_config(installation)
    resident: dict[int, int] = {}
    peak, started_s, started_at, candidate, seq = 0, 0.0, 0, "", -1
    timeout_s = _START_TIMEOUT_S + frames * _FRAME_TIMEOUT_S
    with Service(installation, "--config", str(config), "--source", SOURCE, timeout_s=timeout_s) as service:
        for event in service.events():
            if event["kind"] != "event" or not marks:
                continue
            seq, candidate = event["seq"], str(event["model"]).rpartition("/")[2]
            if not started_s:
                started_s, started_at = time.perf_counter(), seq
            advance(min(seq, frames))
            while marks and seq >= marks[0]:
                resident[marks.pop(0)], peak = service.memory_bytes()
            if not marks:
                ended_s = time.perf_counter()
                service.terminate()
        service.finish()
    if marks:
        raise BackendError(f"shelfcam run stopped by itself after frame {seq} of {frames}")
    return MemoryRun(resident, peak, early, frames, max(1, seq - started_at), ended_s - started_s, candidate)


def write_config(installation: Installation) -> Path:
    """The config of a camera whose slots are those of the synthetic shelf, beside its state with the reference in it. Raises SinkError."""
    scene = ShelfScene(SEED, SIZE_HW_PX)
    lines = ["config_version = 1", "[camera]", f'name = "{_CAMERA}"', "[state]", f"dir = {json.dumps(str(installation.state))}"]
    for slot in scene.slots:
        lines += ["[[slot]]", f'name = "{slot.name}"', f"box = {list(slot.box_xyxy_px)}"]
    state = state_directory(
        DeviceConfig(config_version=1, camera=CameraConfig(name=_CAMERA), state=StateConfig(dir=str(installation.state)))
    )
    state.mkdir(parents=True, exist_ok=True)
    reference.save(state, Reference(scene.empty()))
    config = installation.state / "site.toml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config
