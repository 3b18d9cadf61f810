"""Reading a ``.pt2`` file (``torch.export.save``) as the JSON and bytes that it is.

``torch.export.load`` trusts its file: it unpickles sample inputs, objects and some tensors with full powers, loads compiled libraries,
evaluates symbolic sizes and guards as Python, imports the classes that tree specs name, and finds operators by ``getattr`` from ``torch``
on (torch/_export/serde/serialize.py, torch/export/pt2_archive/_package.py). So it is not used. A network needs operators, literals and
tensors, all of which stand in the file as data; what asks for more is refused before anything is built.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import torch

from edge.errors import DataError
from export.load import operators
from export.load.archive import is_archive, read_records
from export.load.program_steps import ProgramDescription, ProgramStep
from export.load.pt2_guard import FIX, check_records, operator_name
from export.load.pt2_tensors import DTYPES, STRIDED, StoredTensors, whole
from export.load.weights import unpickle

FACTS = "shelfcam.json"
"""What ``torch.export.save(…, extra_files={FACTS: …})`` keeps beside the program: ``CheckpointFacts`` as JSON."""
_MODEL = re.compile(r"models/(\w[\w-]*)\.json", re.ASCII)
_SCHEMA_MAJOR = 8  # torch/_export/serde/schema.py
_MEMORY_FORMATS = {1: "contiguous_format", 2: "channels_last", 4: "preserve_format"}

_LISTS = ("as_tensors", "as_sym_ints", "as_sym_floats", "as_sym_bools", "as_optional_tensors")
_REFERENCES = ("as_tensor", "as_sym_int", "as_sym_float", "as_sym_bool", "as_optional_tensor", *_LISTS)
_LITERALS = ("as_int", "as_bool", "as_string", "as_ints", "as_bools", "as_strings")
_CONSTANTS: dict[str, Callable[[int], dict[str, str]]] = {
    "as_scalar_type": lambda number: {"dtype": DTYPES[number]},
    "as_memory_format": lambda number: {"memory_format": _MEMORY_FORMATS[number]},
    "as_layout": lambda number: {"layout": {STRIDED: "strided"}[number]},
}

Weights = dict[str, torch.Tensor]


def read_exported(path: Path, content: bytes) -> tuple[ProgramDescription, Weights, str | None]:
    """(network, its weights, text of this project's facts).

    Raises:
        DataError: it is no such file, holds something that no network needs (names what), or comes from a PyTorch whose files are
            otherwise.
    """
    if not is_archive(content):
        raise _foreign(path, "no ZIP archive")
    records = read_records(path, content)
    parsed = {name: _json(path, name, record) for name, record in records.items() if name.endswith(".json")}
    models = [match for name in records if (match := _MODEL.fullmatch(name))]
    if not models:
        raise _foreign(path, "it has no models/*.json")
    if len(models) > 1:
        raise DataError(f"{path}: holds {len(models)} programs; one is expected", fix=FIX)
    check_records(path, records, parsed)
    for name, record in records.items():
        if name.endswith(".pt"):
            unpickle(path, record)  # sample inputs, which nothing reads: only to refuse what holds more
    name, model = models[0].group(0), models[0].group(1)
    try:
        version = parsed[name]["schema_version"]["major"]
        if version != _SCHEMA_MAJOR:
            raise _foreign(path, f"schema version {version}")
        tensors = StoredTensors(path, records, parsed, model)
        description = _Reader(path, parsed[name]["graph_module"], tensors).read()
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError) as error:
        raise DataError(f"{path}: PyTorch cannot read this program: {type(error).__name__}: {error}"[:300], fix=FIX) from error
    facts = records.get(f"extra/{FACTS}")
    return description, tensors.weights, None if facts is None else facts.decode(errors="replace")


def _foreign(path: Path, reason: str) -> DataError:
    return DataError(
        f"{path}: not a .pt2 program that this PyTorch reads: {reason}",
        fix="a file of another PyTorch must be saved again with this one; weights belong to --weights",
    )


def _json(path: Path, name: str, record: bytes) -> Any:
    try:
        return json.loads(record)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: damaged: {name} is no JSON: {error}") from error


class _Reader:
    """Turns a serialized graph into steps."""

    def __init__(self, path: Path, module: Mapping[str, Any], tensors: StoredTensors) -> None:
        self._path, self._graph, self._tensors = path, module["graph"], tensors
        self._signature = module["signature"]
        self._steps: list[ProgramStep] = []
        self._places: dict[str, int] = {}

    def read(self) -> ProgramDescription:
        """Raises DataError, or what a wrong structure raises: KeyError, TypeError, ValueError…"""
        pictures = []
        for argument, spec in zip(self._graph["inputs"], self._signature["input_specs"], strict=True):
            name = argument["as_tensor"]["name"]
            ((kind, said),) = spec.items()
            if kind == "user_input":
                pictures.append(self._shape(name))
                self._add(name, ProgramStep("picture", shape=self._shape(name)))
            else:
                target = said[
                    {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}[kind]
                ]
                self._tensors.add(target)
                self._add(name, ProgramStep("weight", target, shape=self._shape(name)))
        shape = pictures[0] if len(pictures) == 1 else None
        if shape is None or len(shape) != 4 or shape[1] != 3:
            raise DataError(f"{self._path}: takes {pictures}, not one N×3×H×W batch of pictures")
        for node in self._graph["nodes"]:
            self._node(node)
        answers = [
            spec["user_output"]["arg"]["as_tensor"]["name"] for spec in self._signature["output_specs"] if "user_output" in spec
        ]
        if len(answers) != 1 or len(answers) != len(self._signature["output_specs"]):
            raise DataError(f"{self._path}: answers with {len(self._signature['output_specs'])} values, not with one tensor")
        return ProgramDescription(tuple(self._steps), self._places[answers[0]], frozenset(self._tensors.parameters))

    def _add(self, name: str | None, step: ProgramStep) -> int:
        self._steps.append(step)
        if name is not None:
            if name in self._places:
                raise ValueError(f"{name[:80]!r} is there twice")
            self._places[name] = len(self._steps) - 1
        return len(self._steps) - 1

    def _shape(self, name: str) -> tuple[int | None, ...] | None:
        meta = self._graph["tensor_values"].get(name)
        return None if meta is None else tuple(whole(side) if "as_int" in side else None for side in meta["sizes"])

    def _node(self, node: Mapping[str, Any]) -> None:
        target = operator_name(node["target"])
        if target in operators.ASSERTIONS:
            return
        args, kwargs = self._arguments(operators.resolve(target), node["inputs"])
        outputs = node["outputs"]
        if len(outputs) == 1 and (name := _single(outputs[0])) is not None:
            self._add(name, ProgramStep("call", target, args, kwargs, self._shape(name)))
            return
        whole = self._add(None, ProgramStep("call", target, args, kwargs))
        self._parts(whole, outputs[0]["as_tensors"] if len(outputs) == 1 and "as_tensors" in outputs[0] else outputs)

    def _parts(self, whole: int, outputs: list[Any]) -> None:
        """Names for the members of a result that is a list or a tuple."""
        for index, output in enumerate(outputs):
            name = output["name"] if "name" in output else _single(output)
            if name is not None:
                self._add(name, ProgramStep("call", "_operator.getitem", ({"step": whole}, index), {}, self._shape(name)))
            elif "as_tensors" in output:
                inner = self._add(None, ProgramStep("call", "_operator.getitem", ({"step": whole}, index)))
                self._parts(inner, output["as_tensors"])

    def _arguments(self, function: Any, inputs: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        schema = getattr(function, "_schema", None)
        if schema is None:
            return tuple(self._value(given["arg"]) for given in inputs), {}
        given = {argument["name"]: argument for argument in inputs}
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for position, argument in enumerate(schema.arguments):
            if argument.name in given:
                value = self._value(given.pop(argument.name)["arg"])
                if position == len(args) and not argument.kwarg_only:
                    args.append(value)
                else:
                    kwargs[argument.name] = value
        if given:
            raise ValueError(f"{schema.name} takes no {next(iter(given))[:80]!r}")
        return tuple(args), kwargs

    def _value(self, argument: Mapping[str, Any]) -> Any:
        ((kind, value),) = argument.items()
        if kind in _REFERENCES:
            return [self._reference(item) for item in value] if kind in _LISTS else self._reference(value)
        if kind in _LITERALS:
            return value
        if kind in ("as_float", "as_floats"):
            return [_number(item) for item in value] if isinstance(value, list) else _number(value)
        if kind in _CONSTANTS:
            return _CONSTANTS[kind](value)
        if kind == "as_device" and value["type"] == "cpu":
            return {"device": "cpu"}
        if kind == "as_device":
            raise DataError(f"{self._path}: was exported for {str(value['type'])[:20]!r}", fix="export it on the CPU")
        if kind != "as_none":
            raise DataError(f"{self._path}: refused: {kind[:80]} is an argument that no network needs", fix=FIX)
        return None

    def _reference(self, value: Mapping[str, Any]) -> Any:
        """A tensor or a size: by name, or a literal."""
        if set(value) <= {"as_tensor", "as_none"} and len(value) == 1:
            return None if "as_none" in value else self._reference(value["as_tensor"])
        name = value.get("name", value.get("as_name"))
        if name is not None:
            return {"step": self._places[name]}
        ((_, literal),) = value.items()
        return _number(literal) if isinstance(literal, (float, str)) else literal


def _single(output: Mapping[str, Any]) -> str | None:
    """The name of a result that is one tensor or one size."""
    for kind, key in (
        ("as_tensor", "name"),
        ("as_sym_int", "as_name"),
        ("as_sym_float", "as_name"),
        ("as_sym_bool", "as_name"),
    ):
        if kind in output:
            name: str = output[kind][key]
            return name
    return None


def _number(value: Any) -> Any:
    """PyTorch writes what JSON has no number for as a text."""
    number = float(value)
    return number if isfinite(number) else {"float": str(number)}
