"""What a board gets where its configuration does not say.

No figure here was measured on a board: the counts of cores are the makers', the rest is caution. `shelfcam choose --threads N` and
`shelfcam bench` measure what is better on the very machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from edge.backends.base import Provider
from edge.service.board import Board, board_kind


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
