"""The confined reader: ``python -m export.load.reader`` in a child that can do no harm (``edge.sandbox``).

Reads a ``confined.ReadRequest`` and the file's bytes from standard input, and writes a ``confined.ReadReply`` and its tensors to standard
output. Programs are tried here, with the limits of the child, before the network is ever run outside.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

if __name__ == "__main__":
    # PyTorch makes this directory when it is imported, which a confined process cannot; one that is there will do
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(__file__).parent)

import torch

from edge.errors import DataError
from export.load.archive import is_archive, read_records
from export.load.checkpoint import facts_in
from export.load.confined import ReadReply, ReadRequest, framed, unframed
from export.load.exported import read_exported
from export.load.model import import_extra
from export.load.open_batch import open_batch
from export.load.program_steps import ProgramDescription, build, describe
from export.load.programs import DEFAULT_SIZE_PX, PT2
from export.load.torchscript import read_torchscript
from export.load.weights import unpickled_weights


def main() -> None:
    """Answer one request."""
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not get between
    request, content = unframed(sys.stdin.buffer.read(), ReadRequest)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = _answer(request, content)
    except DataError as error:
        answer = framed(ReadReply(error=str(error), fix=error.fix), b"")
    with os.fdopen(out, "wb") as file:
        file.write(answer)


def _answer(request: ReadRequest, content: bytes) -> bytes:
    path = Path(request.path)
    if request.kind == "weights":
        return _with_tensors(ReadReply(), unpickled_weights(path, content))
    size = request.size_hw_px
    text = None
    if path.suffix == PT2:
        description, weights, text = read_exported(path, content)
        facts = facts_in(path, text)
        size = _size(path, description, size or (facts.size_hw_px if facts else None))
    elif is_archive(content) and any(name.startswith("code/") for name in read_records(path, content)):
        size = size or DEFAULT_SIZE_PX
        description, weights = read_torchscript(path, content, size)
    else:
        raise DataError(
            f"{path}: neither a .pt2 program nor TorchScript; weights alone do not say which network they belong to",
            fix=f"name the network as SPEC and the file as --weights {path}",
        )
    try:
        module = build(description, weights)
        opened, weights = describe(open_batch(path, module, size))
    except DataError as error:
        said = str(error)
        raise DataError(said if said.startswith(str(path)) else f"{path}: {said}", fix=error.fix) from error
    return _with_tensors(ReadReply(program=opened, size_hw_px=size, facts=text), weights)


def _size(path: Path, description: ProgramDescription, wanted: tuple[int, int] | None) -> tuple[int, int]:
    """The input's height and width: as the program fixes them, or as wanted where it leaves them open."""
    shape = next(step.shape for step in description.steps if step.kind == "picture")
    fixed = (None, None) if shape is None else shape[2:]
    height, width = wanted or tuple(side or default for side, default in zip(fixed, DEFAULT_SIZE_PX, strict=True))
    if any(side not in (None, asked) for side, asked in zip(fixed, (height, width), strict=True)):
        raise DataError(f"{path}: was exported for {fixed[0]}×{fixed[1]}, not {height}×{width}", fix="leave --input-size out")
    return height, width


def _with_tensors(answer: ReadReply, weights: dict[str, torch.Tensor]) -> bytes:
    """Tensors travel by number: a name could mean something to the format."""
    plain = {str(i): tensor.detach().clone().contiguous() for i, tensor in enumerate(weights.values())}
    head = ReadReply(names=tuple(weights), program=answer.program, size_hw_px=answer.size_hw_px, facts=answer.facts)
    return framed(head, import_extra("safetensors.torch").save(plain))


if __name__ == "__main__":
    main()
