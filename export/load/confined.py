"""Our side of the confined reader: a stranger's program or pickle goes in as bytes, a network as plain data comes out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from edge import sandbox
from edge.errors import DataError, InputMissingError
from export.load.model import import_extra
from export.load.program_steps import ProgramDescription, build

if TYPE_CHECKING:
    import torch

SECONDS = 180
"""Until a file's reader is killed, and more for a large file: the largest networks take a minute."""
_BYTES_PER_SECOND = 2_000_000
_FILE_BYTES_MAX = 4_000_000_000
_MEMORY_BYTES, _MEMORY_BYTES_MAX = 1_500_000_000, 32_000_000_000
_COPIES = 10  # of the file: as it comes, unpacked, restored, traced, and as it is sent
_BYTES_PER_PIXEL = 6_144  # of three pictures, on the way through a wide network
_LENGTH_BYTES = 8


class ReadRequest(msgspec.Struct, frozen=True):
    """What the reader is asked: ``path`` is for messages alone, the file's bytes follow."""

    path: str
    kind: Literal["program", "weights"]
    size_hw_px: tuple[int, int] | None = None


class ReadReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What it says: an ``error`` with its ``fix``, or the names of the tensors that follow and, of a program, what it is."""

    error: str | None = None
    fix: str | None = None
    names: tuple[str, ...] = ()
    program: ProgramDescription | None = None
    size_hw_px: tuple[int, int] | None = None
    facts: str | None = None


@dataclass(frozen=True, slots=True)
class ReadProgram:
    """``module`` takes N×3×H×W float32 for any N; ``facts`` is the text that this project wrote into the file, if it did."""

    module: torch.nn.Module
    size_hw_px: tuple[int, int]
    facts: str | None


def read_file(path: Path) -> bytes:
    """The whole of it, once: what is looked at is what is used. Raises InputMissingError, DataError where it is too large."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > _FILE_BYTES_MAX:
                raise DataError(f"{path}: {size:,} bytes; at most {_FILE_BYTES_MAX:,} are read")
            return file.read(_FILE_BYTES_MAX)
    except FileNotFoundError as error:
        raise InputMissingError(f"{path}: no such file") from error
    except OSError as error:
        raise InputMissingError(f"{path}: cannot be read: {error.strerror or error}") from error


def state_dict(path: Path, content: bytes) -> dict[str, torch.Tensor]:
    """The weights in a file of ``torch.save``. Raises DataError."""
    return _ask(ReadRequest(str(path), "weights"), content)[1]


def program(path: Path, content: bytes, size_hw_px: tuple[int, int] | None) -> ReadProgram:
    """The network in a ``.pt2`` or TorchScript file. Raises DataError."""
    answer, weights = _ask(ReadRequest(str(path), "program", size_hw_px), content)
    if answer.program is None or answer.size_hw_px is None:
        raise DataError(f"{path}: cannot be read: its reader gave half an answer")
    try:
        module = build(answer.program, weights)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return ReadProgram(module.eval(), answer.size_hw_px, answer.facts)


def _ask(request: ReadRequest, content: bytes) -> tuple[ReadReply, dict[str, torch.Tensor]]:
    height, width = request.size_hw_px or (256, 256)
    memory = _MEMORY_BYTES + _COPIES * len(content) + _BYTES_PER_PIXEL * height * width
    seconds = SECONDS + len(content) / _BYTES_PER_SECOND
    limits = sandbox.Limits(
        seconds=seconds,
        cpu_seconds=round(2 * seconds),
        memory_bytes=min(memory, _MEMORY_BYTES_MAX),
        output_bytes=200_000_000 + 2 * len(content),
    )
    try:
        said = sandbox.run_module("export.load.reader", stdin=framed(request, content), limits=limits)
        answer, rest = unframed(said, ReadReply)
    except sandbox.SandboxError as error:
        raise DataError(
            f"{request.path}: cannot be read safely: it {error.reason}", fix="use it only where you trust it"
        ) from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise DataError(f"{request.path}: cannot be read: its reader answered with something else: {error}") from error
    if answer.error is not None:
        raise DataError(answer.error, fix=answer.fix)
    return answer, _tensors(request.path, answer, rest)


def _tensors(path: str, answer: ReadReply, content: bytes) -> dict[str, Any]:
    safetensors = import_extra("safetensors.torch")
    try:
        stored = safetensors.load(content)
        if len(stored) != len(answer.names):
            raise ValueError(f"{len(stored)} tensors for {len(answer.names)} names")
        return {name: stored[str(number)] for number, name in enumerate(answer.names)}
    except (import_extra("safetensors").SafetensorError, ValueError, KeyError) as error:
        raise DataError(f"{path}: cannot be read: its reader answered with something else: {error}") from error


def framed(head: msgspec.Struct, content: bytes) -> bytes:
    """A message of JSON and bytes, with the JSON's length in front."""
    text = msgspec.json.encode(head)
    return b"".join((len(text).to_bytes(_LENGTH_BYTES, "big"), text, content))


def unframed(message: bytes, kind: type[Any]) -> tuple[Any, bytes]:
    """The inverse of ``framed``. Raises msgspec.MsgspecError, ValueError."""
    length = int.from_bytes(message[:_LENGTH_BYTES], "big")
    if len(message) < _LENGTH_BYTES + length:
        raise ValueError("it was cut off")
    end = _LENGTH_BYTES + length
    return msgspec.json.decode(message[_LENGTH_BYTES:end], type=kind), message[end:]
