"""Reading a TorchScript file, so that nothing of it runs before all of it was looked at.

``torch.jit.load`` calls ``__setstate__`` of every object that it restores, with operators that reach files. So the archive is written
anew first: its code is parsed, held against a closed list of syntax and operators, and printed from what was parsed, and its pickles may
name nothing but tensors, containers and classes of that code. What PyTorch compiles is then checked once more, operator by operator,
before a picture goes through it.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import warnings
import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch

from edge.errors import DataError
from export.load.archive import read_records
from export.load.program_steps import ProgramDescription, describe
from export.load.script_code import is_allowed, rewritten

_KEPT = ("data.pkl", "constants.pkl", "version", ".data/version", "byteorder")
_OPCODES = frozenset(
    [
        *("PROTO", "STOP", "MARK", "GLOBAL", "REDUCE", "BUILD", "NEWOBJ", "BINPERSID", "BINPUT", "LONG_BINPUT", "BINGET"),
        *("LONG_BINGET", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"),
        *(
            "BINSTRING",
            "SHORT_BINSTRING",
            "EMPTY_TUPLE",
            "TUPLE",
            "TUPLE1",
            "TUPLE2",
            "TUPLE3",
            "EMPTY_LIST",
            "APPEND",
            "APPENDS",
        ),
        *("EMPTY_DICT", "SETITEM", "SETITEMS"),
    ]
)
"""What PyTorch itself writes (torch/csrc/jit/serialization/pickler.cpp)."""


def read_torchscript(
    path: Path, content: bytes, size_hw_px: tuple[int, int]
) -> tuple[ProgramDescription, dict[str, torch.Tensor]]:
    """(network, its weights). Raises DataError: it wants more than a network does (names what), or cannot be turned into one."""
    archive = written_anew(path, read_records(path, content))
    from torch._export.converter import TS2EPConverter  # takes seconds

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of counters that no inference reads, and that TorchScript is deprecated
            script = torch.jit.load(io.BytesIO(archive), map_location="cpu").eval()
            check_operators(path, script)
            program = TS2EPConverter(script, (torch.zeros(2, 3, *size_hw_px),)).convert()
            module = program.module(check_guards=False)
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, AssertionError, IndexError, OverflowError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{path}: this TorchScript cannot be turned into a plain program at {size_hw_px[0]}×{size_hw_px[1]}: {reason}",
            fix="give its size with --input-size, or export the Python network with torch.export.save as .pt2",
        ) from error
    try:
        return describe(module)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def check_operators(path: Path, script: Any) -> None:
    """Of what was compiled, before anything of it is called. Raises DataError for an operator that no network needs."""
    graph = script.inlined_graph  # kept: its blocks and nodes live as long as it does
    blocks = [graph]
    while blocks:
        for node in blocks.pop().nodes():
            blocks.extend(node.blocks())
            if not is_allowed(str(node.kind())):
                raise DataError(f"{path}: refused: it wants to run {node.kind()}, which no network needs")
            for name in node.attributeNames():
                if node.kindOf(name) in ("g", "gs"):  # a graph within, of what is forked or differentiated
                    raise DataError(f"{path}: refused: {node.kind()} holds a graph, which no network needs")


def written_anew(path: Path, records: Mapping[str, bytes]) -> bytes:
    """An archive of what was understood of the program; what is not needed (sources for debugging, extra files) is left out.

    Raises:
        DataError: its code or pickles hold what no network needs (names what).
    """
    kept = {name: record for name, record in records.items() if name in _KEPT or name.startswith(("data/", "constants/"))}
    code = {name: record for name, record in records.items() if name.startswith("code/") and name.endswith(".py")}
    if "data.pkl" not in kept:
        raise DataError(f"{path}: damaged: it has no data.pkl")
    kept |= {name: rewritten(path, name, record) for name, record in code.items()}
    for name in ("data.pkl", "constants.pkl"):
        if name in kept:
            _check_pickle(path, name, kept[name], {key: len(record) for key, record in kept.items()})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, record in kept.items():
            archive.writestr(f"archive/{name}", record)
    return file.getvalue()


def _check_pickle(path: Path, name: str, content: bytes, lengths: Mapping[str, int]) -> None:
    try:
        for opcode, _, _ in pickletools.genops(content):
            if opcode.name not in _OPCODES:
                raise pickle.UnpicklingError(f"uses {opcode.name}")
        _Looker(content, f"{name.removesuffix('.pkl')}/", lengths).load()
    except DataError:
        raise
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        KeyError,
        OverflowError,
    ) as error:
        raise DataError(f"{path}: refused: {name} holds more than a network does, or is damaged: {error}") from error


class _Inert:
    """Stands for an object of the program's own classes, and for what its constructors make."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass

    def __hash__(self) -> int:
        return id(self)


class _Looker(pickle.Unpickler):
    """Goes through a pickle as PyTorch will, makes nothing of it, and holds its tensors against the records that they lie in."""

    def __init__(self, content: bytes, folder: str, lengths: Mapping[str, int]) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self._folder, self._lengths = folder, lengths

    def find_class(self, module: str, name: str) -> Any:
        whole = f"{module}.{name}"
        if whole.startswith("__torch__.") and not whole.startswith("__torch__.torch.classes."):
            return type("Object", (_Inert,), {})
        if whole == "torch._utils._rebuild_tensor_v2":
            return self._tensor
        if whole in _CONTAINERS or (module == "torch" and name in _STORAGES):
            return _STORAGES[name] if module == "torch" else _CONTAINERS[whole]
        raise pickle.UnpicklingError(f"names {whole[:80]}")

    def persistent_load(self, pid: Any) -> Any:
        """("storage", its type, record, device, elements) → its elements."""
        kind, item_bytes, key, _, count = pid
        if kind != "storage" or type(item_bytes) is not int or type(count) is not int or not isinstance(key, str):
            raise pickle.UnpicklingError("has something else than a tensor in a record of its own")
        if not 0 <= count * item_bytes <= self._lengths.get(self._folder + key, -1):
            raise pickle.UnpicklingError(f"record {key[:20]} is shorter than its tensor")
        return (count,)

    @staticmethod
    def _tensor(storage: Any, offset: Any, sizes: Any, strides: Any, *_: Any) -> _Inert:
        numbers = [offset, *sizes, *strides]
        if not all(type(number) is int and 0 <= number < 1 << 48 for number in numbers) or len(sizes) != len(strides):
            raise pickle.UnpicklingError("has a tensor of no size")
        last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
        if prod(sizes) and last >= storage[0]:
            raise pickle.UnpicklingError("has a tensor that is longer than what is stored of it")
        return _Inert()


_CONTAINERS: dict[str, Any] = {
    "collections.OrderedDict": dict,
    "torch.jit._pickle.build_intlist": list,
    "torch.jit._pickle.build_doublelist": list,
    "torch.jit._pickle.build_boollist": list,
    "torch.jit._pickle.build_tensorlist": list,
    "torch.jit._pickle.restore_type_tag": lambda value, _: value,
    "torch.device": _Inert,
}
_STORAGES = {  # bytes of an element
    **{"DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4},
    **{"ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1},
}
