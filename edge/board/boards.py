"""Which machine this is, from what its firmware says (the device tree, or DMI on a PC), and what it gets where nobody says otherwise.

No figure here was measured on a board: the counts of cores are the makers', the rest is caution. `shelfcam choose --threads N` and
`shelfcam bench` measure what is better on the very machine.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from edge.data import Provider
from edge.errors import SinkError
from edge.rootfs import Image

Board = Literal["pi", "jetson", "other"]
BOARDS: tuple[Board, ...] = get_args(Board)

_SLASH = Path("/")


def board_model(root: Path = _SLASH) -> str:
    """What the maker calls this machine ("Raspberry Pi 5 Model B Rev 1.0"), or "unknown". ``root`` holds proc and sys."""
    text = _text(root, "proc/device-tree/model") or _text(root, "sys/firmware/devicetree/base/model")
    if text:
        return text
    words = [_text(root, f"sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name")]
    return " ".join(filter(None, words)) or "unknown"


def board_kind(root: Path = _SLASH) -> Board:
    """Whose cameras this machine may have, by its device tree's ``compatible`` ("raspberrypi,5-model-b", "nvidia,tegra234")."""
    compatible = _text(root, "proc/device-tree/compatible") or _text(root, "sys/firmware/devicetree/base/compatible")
    model = board_model(root)
    if "raspberrypi," in compatible or model.startswith("Raspberry Pi"):
        return "pi"
    if "nvidia,tegra" in compatible or "Jetson" in model:
        return "jetson"
    return "other"


def _text(root: Path, path: str) -> str:
    """The file's words; device-tree strings end with NUL, and a list is joined by them. Links in an image do not lead out of it."""
    try:
        content = Image(root).read(path) or b""
    except SinkError:
        return ""
    return content.decode("utf-8", errors="replace").replace("\0", " ").strip()


@dataclass(frozen=True, slots=True)
class BoardDefaults:
    """``max_threads``: of inference, where the process may use at least as many CPUs; ``providers``: of ONNX Runtime that are tried
    beside the CPU, in order, each only where the installed one has it; ``source``: of these."""

    max_threads: int
    providers: tuple[Provider, ...]
    source: str


_GPU: tuple[Provider, ...] = ("tensorrt-fp16", "tensorrt", "cuda")
_CPU: tuple[Provider, ...] = ("xnnpack", "acl")

DEFAULTS: dict[Board, BoardDefaults] = {
    "pi": BoardDefaults(
        4,
        _CPU,
        # https://www.raspberrypi.com/documentation/computers/processors.html
        "BCM2711 (Pi 4) and BCM2712 (Pi 5) have four cores and no GPU that ONNX Runtime knows",
    ),
    "jetson": BoardDefaults(
        4,
        _GPU,
        # https://developer.nvidia.com/embedded/jetson-modules
        "Orin modules have 6 to 12 cores: the others are left to the camera's daemon and the GPU's driver",
    ),
    "other": BoardDefaults(4, (*_GPU, *_CPU), "a camera's model is small: more threads wait for each other"),
}


@cache
def board_defaults() -> BoardDefaults:
    """Those of this machine."""
    return DEFAULTS[board_kind()]


def thread_count(threads: int, affinity: Collection[int] = ()) -> int:
    """The number of inference threads for a configured value; 0 means: as many as CPUs that may be used, at most the board's default."""
    return threads or min(board_defaults().max_threads, len(set(affinity)) or len(os.sched_getaffinity(0)))
