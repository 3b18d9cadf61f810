"""Networks that come as programs: an ExportedProgram (``.pt2``) or a TorchScript file.

Both become a plain ``torch.fx.GraphModule`` of ATen operators that takes any batch, which the converters trace like a network
written in Python.
"""

from __future__ import annotations

import re
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import DataError, InputMissingError
from export.load.checkpoint import CheckpointFacts, facts_in
from export.load.model import import_extra
from export.load.pt2_guard import load_pt2
from export.load.weights import is_torchscript

if TYPE_CHECKING:
    import torch

PT2 = ".pt2"
FACTS = "shelfcam.json"
"""What ``torch.export.save(…, extra_files={FACTS: …})`` keeps beside the program: ``CheckpointFacts`` as JSON."""
TORCHSCRIPT = (".pt", ".pth", ".ts", ".jit", ".torchscript")
_DEFAULT_SIZE_PX = (224, 224)
# TorchScript runs in its own interpreter without Python, but these operators reach files. Its lexer does not mind spaces.
_FILE_OPERATORS = re.compile(r"torch\.save\(|torch\.load\(|from_file\(|ops\.aten\.(?:save|from_file)")
_OPERATOR_ROOMS = ("aten", "prim", "prims", "torchvision", "quantized", "static")
_FILE_KINDS = ("aten::save", "aten::from_file")
# position of the argument that says "training" in ATen's operators
_TRAINING_ARGUMENT = {"aten.batch_norm.default": 5, "aten.dropout.default": 2, "aten.instance_norm.default": 5}
_FIX_BATCH = (
    "export it with an open batch: torch.export.export(model, (example,), dynamic_shapes=({0: torch.export.Dim('N')},))"
)


@dataclass(frozen=True, slots=True)
class Program:
    """``module`` takes N×3×H×W float32 for any N; ``size_hw_px`` is what it was made for."""

    module: torch.nn.Module
    size_hw_px: tuple[int, int]


def is_program(spec: str) -> bool:
    """Whether SPEC is a file's name, by its ending."""
    return spec.endswith((PT2, *TORCHSCRIPT))


def program_facts(path: Path) -> CheckpointFacts | None:
    """What a ``.pt2`` file that this project wrote says of itself; ``None`` for any other. Raises DataError if it makes no sense."""
    if path.suffix != PT2 or not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(f"/extra/{FACTS}")]
        try:
            text = archive.read(names[0]).decode() if names else None
        except (zipfile.BadZipFile, UnicodeDecodeError, zlib.error) as error:
            raise DataError(f"{path}: damaged: {error}") from error
    return facts_in(path, text)


def load_program(path: Path, size_hw_px: tuple[int, int] | None) -> Program:
    """The program in the file. ``size_hw_px``: where the program leaves it open (TorchScript always does; then 224×224).

    Raises:
        InputMissingError: no such file.
        DataError: it is no program, wants more than a network does, was exported for another size or in training mode, or does
            not take more than one picture at a time and cannot be made to.
    """
    if not path.is_file():
        raise InputMissingError(f"{path}: no such file")
    if path.suffix == PT2:
        return _from_exported(path, load_pt2(path), size_hw_px)
    if not is_torchscript(path):
        raise DataError(
            f"{path}: neither a .pt2 program nor TorchScript; weights alone do not say which network they belong to",
            fix=f"name the network as SPEC and the file as --weights {path}",
        )
    return _from_torchscript(path, size_hw_px or _DEFAULT_SIZE_PX)


def _from_exported(path: Path, program: Any, size_hw_px: tuple[int, int] | None) -> Program:
    inputs = [spec.arg.name for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]
    shapes = {node.name: node.meta["val"].shape for node in program.graph.nodes if node.name in inputs}
    shape: tuple[Any, ...] = tuple(next(iter(shapes.values()), ()))
    if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3:
        raise DataError(f"{path}: takes {[tuple(shape) for shape in shapes.values()]}, not one N×3×H×W batch of pictures")
    fixed = tuple(side if isinstance(side, int) else None for side in shape[2:])
    size = size_hw_px or tuple(side or default for side, default in zip(fixed, _DEFAULT_SIZE_PX, strict=True))
    if any(side not in (None, wanted) for side, wanted in zip(fixed, size, strict=True)):
        raise DataError(
            f"{path}: was exported for {fixed[0]}×{fixed[1]}, not {size[0]}×{size[1]}", fix="leave --input-size out"
        )
    return Program(_open_batch(path, program.module(check_guards=False), (size[0], size[1])), (size[0], size[1]))


def _from_torchscript(path: Path, size_hw_px: tuple[int, int]) -> Program:
    torch = import_extra("torch")
    from torch._export.converter import TS2EPConverter

    _check_torchscript(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of counters that no inference reads, and that TorchScript is deprecated
            script = torch.jit.load(path, map_location="cpu").eval()
            _check_operators(path, script)
            program = TS2EPConverter(script, (torch.zeros(2, 3, *size_hw_px),)).convert()
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, AssertionError, IndexError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{path}: this TorchScript cannot be turned into a plain program at {size_hw_px[0]}×{size_hw_px[1]}: {reason}",
            fix="give its size with --input-size, or export the Python network with torch.export.save as .pt2",
        ) from error
    return Program(_open_batch(path, program.module(check_guards=False), size_hw_px), size_hw_px)


def _check_torchscript(path: Path) -> None:
    """Refuse code that touches files while it is loaded. Everything else that TorchScript can do stays within its interpreter."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.endswith(".py"):
                continue
            code = re.sub(r"\s+", "", archive.read(name).decode(errors="replace"))
            if found := _FILE_OPERATORS.search(code):
                raise DataError(f"{path}: refused: {name} wants to run {found.group(0).rstrip('(')}, which reaches files")


def _check_operators(path: Path, script: Any) -> None:
    """The same of what was compiled, before anything of it is called; and refuse operators that no network needs."""
    graph = script.inlined_graph  # kept: its blocks and nodes live as long as it does
    blocks = [graph]
    while blocks:
        for node in blocks.pop().nodes():
            blocks.extend(node.blocks())
            kind = str(node.kind())
            if kind in _FILE_KINDS or kind.partition("::")[0] not in _OPERATOR_ROOMS:
                raise DataError(f"{path}: refused: it wants to run {kind}, which no network needs")


def _open_batch(path: Path, module: Any, size_hw_px: tuple[int, int]) -> torch.nn.Module:
    """A copy without the exporter's check of its input's shape, and without the batch written into its graph.

    ``x.view(x.size(0), -1)`` of a program that was exported with a fixed batch of 1 says ``view(x, [1, -1])``. Where the operator's
    traced shapes show that the number is the batch, the batch is left open and the other open side, if any, is filled in. That this
    is right is then tried: three pictures in one batch must be answered as one by one.
    """
    torch = import_extra("torch")
    graph_module = torch.fx.GraphModule(module, module.graph)
    for node in graph_module.graph.nodes:
        if node.op == "call_function":
            _refuse_training(path, node)
            _open_shape(node)
    graph_module.recompile()
    graph_module.eval()
    pictures = torch.rand(3, 3, *size_hw_px, generator=torch.Generator().manual_seed(0)) * 4 - 2
    try:
        with torch.no_grad():
            together = graph_module(pictures)
            apart = torch.cat([graph_module(picture) for picture in pictures.split(1)])
    except (RuntimeError, ValueError, TypeError, AssertionError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: does not take batches of other sizes: {reason}", fix=_FIX_BATCH) from error
    if together.shape != apart.shape or not torch.allclose(together, apart, rtol=1e-3, atol=1e-4):
        raise DataError(f"{path}: answers three pictures in one batch otherwise than one by one", fix=_FIX_BATCH)
    return graph_module


def _refuse_training(path: Path, node: Any) -> None:
    position = _TRAINING_ARGUMENT.get(str(node.target))
    if position is not None and len(node.args) > position and node.args[position] is True:
        raise DataError(f"{path}: {node.target} runs in training mode", fix="call model.eval() before it is exported")


def _open_shape(node: Any) -> None:
    if str(node.target) not in ("aten.view.default", "aten.reshape.default", "aten.expand.default"):
        return
    source, shape = node.args[0], list(node.args[1])
    given, made = source.meta["val"].shape, node.meta["val"].shape
    if not shape or not isinstance(shape[0], int) or shape[0] == -1 or not given or given[0] != made[0]:
        return
    if str(node.target) != "aten.expand.default":
        sides = [int(side) if asked == -1 and isinstance(side, int) else asked for asked, side in zip(shape, made, strict=True)]
        if -1 in sides[1:]:
            return
        shape = sides
    node.args = (source, [-1, *shape[1:]], *node.args[2:])
