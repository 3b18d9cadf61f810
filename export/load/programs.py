"""Networks that come as programs: an ExportedProgram (``.pt2``) or a TorchScript file.

Both are read in a confined child process (``export.load.reader``), from which a network comes back as plain data: operators by name out
of a closed list, literals and weights. It becomes a ``torch.fx.GraphModule`` of ATen operators that takes any batch, which the converters
trace like a network written in Python.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import InputMissingError
from export.load.checkpoint import CheckpointFacts, facts_in

if TYPE_CHECKING:
    import torch

PT2 = ".pt2"
DEFAULT_SIZE_PX = (224, 224)
"""Height and width, where neither the network nor the user says."""
TORCHSCRIPT = (".pt", ".pth", ".ts", ".jit", ".torchscript")


@dataclass(frozen=True, slots=True)
class Program:
    """``module`` takes N×3×H×W float32 for any N; ``size_hw_px`` is what it was made for; ``facts`` is what a ``.pt2`` file that this
    project wrote says of itself; ``sha256`` is that of the bytes that were read."""

    module: torch.nn.Module
    size_hw_px: tuple[int, int]
    facts: CheckpointFacts | None
    sha256: str


def is_program(spec: str) -> bool:
    """Whether SPEC is a file's name, by its ending."""
    return spec.endswith((PT2, *TORCHSCRIPT))


def load_program(path: Path, size_hw_px: tuple[int, int] | None) -> Program:
    """The program in the file. ``size_hw_px``: where the program leaves it open (TorchScript always does; then 224×224).

    Raises:
        InputMissingError: no such file.
        DataError: it is no program, wants more than a network does (names what), takes too long or too much memory to read, was
            exported for another size or in training mode, or does not take more than one picture at a time and cannot be made to.
    """
    if not path.is_file():
        raise InputMissingError(f"{path}: no such file")
    from export.load.confined import program, read_file

    content = read_file(path)
    read = program(path, content, size_hw_px)
    return Program(read.module, read.size_hw_px, facts_in(path, read.facts), hashlib.sha256(content).hexdigest())
