"""A network whose layers no factory makes any more, as a program that says what it is."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import msgspec
import torch

from edge.errors import DataError
from edge.files import write_atomic
from export.convert.quiet import quiet
from export.load.assemble import load
from export.load.checkpoint import CheckpointFacts
from export.load.exported import FACTS
from export.load.model import FloatModel
from export.load.spec import ModelSpec

_DIFFERENCE_MAX = 1e-3  # of logits, relative to the largest; the same operators in another order of sums


def write_program(path: Path, model: FloatModel, facts: CheckpointFacts) -> None:
    """Replace ``path`` by an ExportedProgram that takes any batch, with ``facts`` inside, once it was read again and answers alike.

    Raises:
        DataError: the program, read again, answers otherwise.
        SinkError: it cannot be written.
    """
    content = io.BytesIO()
    with torch.no_grad(), quiet():
        program = torch.export.export(
            model.module.eval(), (torch.zeros(2, 3, *model.size_hw_px),), dynamic_shapes=({0: torch.export.Dim("batch")},)
        )
        torch.export.save(program, content, extra_files={FACTS: msgspec.json.encode(facts).decode()})
    with tempfile.TemporaryDirectory() as directory:
        trial = Path(directory) / path.name
        trial.write_bytes(content.getvalue())
        again = load(ModelSpec(str(trial)))
    pictures = torch.randn(3, 3, *model.size_hw_px, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, ours = model.module(pictures), again.module(pictures)
    limit = _DIFFERENCE_MAX * float(expected.abs().max())
    if again.labels != model.labels or not float((ours - expected).abs().max()) <= limit:
        raise DataError(f"{path}: the written program answers otherwise than the network; nothing was written")
    write_atomic(path, content.getvalue())
