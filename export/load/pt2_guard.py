"""What a ``.pt2`` file may hold before PyTorch reads it.

``torch.export.load`` trusts its file: tensors that fail the restricted reader are unpickled with full powers, custom objects and
opaque constants always are (torch/export/pt2_archive/_package.py), compiled libraries are loaded, symbolic sizes go through
``sympy.sympify``, which evaluates them as Python, and an operator's name is looked up by ``getattr`` from ``torch`` on, which
reaches ``torch.os`` (torch/_export/serde/serialize.py). Networks for cameras need none of this, so it is refused by name; and the
restricted reader is forced on the rest.
"""

from __future__ import annotations

import ast
import io
import json
import os
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge.errors import DataError
from export.load.weights import refused

_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # read by torch.load; wins over weights_only=False
_COMPILED = ("data/aotinductor/", "data/executorch/", "mtia/", "data/mtia/")
_OBJECTS = ("custom_obj_", "opaque_obj_")
_TARGET = re.compile(
    r"torch\.ops\.(aten|prims|torchvision|quantized_decomposed|higher_order)\.(?!from_file|save)[a-z_]\w*(\.\w+)?"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pos|pow|getitem|eq|ne|lt|le|gt|ge|and_|or_|not_)"
    r"|math\.(ceil|floor|trunc|sqrt|prod)|torch\._?sym_\w+"
)
_FUNCTIONS = frozenset(
    [
        "Symbol",
        "Integer",
        "Rational",
        "Add",
        "Mul",
        "Pow",
        "Max",
        "Min",
        "Mod",
        "PythonMod",
        "FloorDiv",
        "CeilDiv",
        "CleanDiv",
        "ModularIndexing",
        "Identity",
        "IntTrueDiv",
        "TruncToInt",
        "FloorToInt",
        "CeilToInt",
        "Eq",
        "Ne",
        "Ge",
        "Gt",
        "Le",
        "Lt",
        "Equality",
        "Unequality",
        "GreaterThan",
        "LessThan",
        "StrictGreaterThan",
        "StrictLessThan",
        "And",
        "Or",
        "Not",
    ]
)
"""What a size may be computed with: sympy's and PyTorch's own functions of integers."""
_SIZE_NAME = re.compile(r"[suz]f?\d+|oo|int_oo|true|false")
_SYNTAX = (
    *(ast.Expression, ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)
_NAME = re.compile(r"\w[\w.]*|")
_FIX = "where you trust it, save it again: torch.export.save(torch.export.export(model.eval(), (example,)), 'model.pt2')"


def load_pt2(path: Path) -> Any:
    """The ``ExportedProgram`` in the file.

    Raises:
        DataError: it holds something that would run code while it is read (names what), is damaged, or comes from a PyTorch
            whose files this one does not read.
    """
    from torch.export.pt2_archive._package import load_pt2 as load

    content = path.read_bytes()  # what was looked at is what is loaded
    _check(path, content)
    try:
        with _restricted():
            programs = load(io.BytesIO(content)).exported_programs
    except pickle.UnpicklingError as error:
        raise refused(path, error) from error
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, AssertionError, IndexError) as error:
        if isinstance(error.__cause__ or error.__context__, pickle.UnpicklingError):
            raise refused(path, error) from error
        raise DataError(f"{path}: PyTorch cannot read this program: {_first_line(error)}", fix=_FIX) from error
    if len(programs) != 1:
        raise DataError(f"{path}: holds {len(programs)} programs; one is expected", fix=_FIX)
    return next(iter(programs.values()))


def _check(path: Path, content: bytes) -> None:
    # PyTorch's own reader of the archive, so that both see the same records
    from torch.export.pt2_archive._package import PT2ArchiveReader

    try:
        with PT2ArchiveReader(io.BytesIO(content)) as reader:
            names = reader.get_file_names()
            texts = {name: reader.read_string(name) for name in names if name.endswith(".json")}
        parsed = {name: json.loads(text) for name, text in texts.items()}
    except (RuntimeError, ValueError) as error:
        raise DataError(
            f"{path}: not a .pt2 program that this PyTorch reads: {_first_line(error)}",
            fix="a file of another PyTorch must be saved again with this one; weights belong to --weights",
        ) from error
    for name in names:
        if name.startswith(_COMPILED) or name.endswith((".so", ".o", ".cubin")):
            raise DataError(f"{path}: refused: {name} is compiled code", fix=_FIX)
        if name.rpartition("/")[2].startswith(_OBJECTS):
            raise DataError(f"{path}: refused: {name} is an object that only running its code restores", fix=_FIX)
    for name, value in parsed.items():
        for key, text in _strings(value):
            if not _harmless(key, text):
                raise DataError(f"{path}: refused: {name} has {key} {text[:80]!r}, which no network needs", fix=_FIX)


def _harmless(key: str, text: str) -> bool:
    if key == "target":
        return _TARGET.fullmatch(text) is not None
    if key == "expr_str":
        return _is_size(text)
    if key == "path_name":
        return not text.startswith(_OBJECTS)
    if key == "name":
        return _NAME.fullmatch(text) is not None
    return True


def _is_size(text: str) -> bool:
    """Whether it is arithmetic on sizes and nothing else: parsed, because sympy would evaluate it as Python."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(_is_arithmetic(node) for node in ast.walk(tree))


def _is_arithmetic(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        named = isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
        texts = [arg for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        return named and (not texts or (isinstance(node.func, ast.Name) and node.func.id == "Symbol"))
    if isinstance(node, ast.Name):
        return node.id in _FUNCTIONS or _SIZE_NAME.fullmatch(node.id) is not None
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float)) or (isinstance(node.value, str) and _NAME.fullmatch(node.value) is not None)
    return isinstance(node, _SYNTAX)


def _strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every string within parsed JSON, with the key that it stands under."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for inner, item in value.items():
            yield from _strings(item, inner)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, key)


@contextmanager
def _restricted() -> Iterator[None]:
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FORCE]
        else:
            os.environ[_FORCE] = before


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
