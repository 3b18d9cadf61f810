"""A model file as a runtime is given it: bytes that were checked, never a path that may lead elsewhere by then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.bundle.limits import WORKSTATION
from edge.bundle.onnx_check import check_onnx
from edge.bundle.tflite_check import check_tflite
from edge.errors import BundleError, InputMissingError
from edge.files import read_regular
from edge.manifest import Format

_CHECKS: Mapping[Format, Callable[[bytes], None]] = {"onnx": check_onnx, "tflite": check_tflite}


@dataclass(frozen=True, slots=True)
class ModelFile:
    """``name``: what errors call it, its path as a rule. ``content``: the whole file."""

    name: str
    content: bytes

    @classmethod
    def read(cls, path: Path, max_bytes: int = WORKSTATION.model) -> ModelFile:
        """A file outside of a bundle. Raises InputMissingError (no such file) or BundleError (no plain file, or too large)."""
        try:
            return cls(str(path), read_regular(path, max_bytes, follow=True))
        except ValueError as error:
            raise BundleError(f"{path}: cannot be read: {error}") from error
        except OSError as error:
            raise InputMissingError(f"{path}: {error.strerror or error}") from error

    def check(self, file_format: Format) -> None:
        """Raises BundleError unless it is a model and nothing more: it reaches no other file and names no code of its own."""
        try:
            _CHECKS[file_format](self.content)
        except ValueError as error:
            raise BundleError(
                f"{self.name}: not a model that may be loaded: {error}",
                fix="export or wrap the model again, as one file of standard operators; if it came over a network, copy it again",
            ) from error
