"""Checkpoints that say what they are: a safetensors file whose metadata holds everything that an export must know."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edge.errors import DataError, InputMissingError
from edge.files import write_atomic
from edge.manifest import Fit, Normalisation
from edge.strict import Strict
from edge.text import has_control
from export.load.model import FloatModel, import_extra

if TYPE_CHECKING:
    import torch

METADATA_KEY = "shelfcam"
SCHEMA = 1
_PIXELS_MAX = 2048 * 2048  # a network of that size is built and tried because a file says so
_LABELS_MAX = 65_536  # and one with so many outputs; ImageNet-21k has 21,843


class CheckpointFacts(Strict, frozen=True, kw_only=True):
    """What the weights cannot say of themselves.

    ``spec`` is the SPEC of the network that they belong to: a zoo name, which a file may say, or ``package.module:factory``, which only
    tells what was trained, because nothing is imported that the user has not typed; ``labels`` the classes in
    the order of its outputs, ``mean`` and ``scale`` its normalisation, (pixel − mean) / scale on 0…255, RGB. ``notes`` is for
    people.
    """

    schema: int = SCHEMA
    spec: str
    labels: tuple[str, ...]
    size_hw_px: tuple[int, int]
    mean: tuple[float, float, float]
    scale: tuple[float, float, float]
    fit: Fit
    licence: str | None = None
    notes: str = ""

    @classmethod
    def of(cls, model: FloatModel, spec: str, notes: str) -> CheckpointFacts:
        """Those of ``model``, which belongs to ``spec``."""
        return cls(
            spec=spec,
            labels=model.labels,
            size_hw_px=model.size_hw_px,
            mean=model.normalisation.mean,
            scale=model.normalisation.scale,
            fit=model.fit,
            licence=model.licence,
            notes=notes,
        )

    @property
    def normalisation(self) -> Normalisation:
        """``mean`` and ``scale`` as the manifest has them."""
        return Normalisation(mean=self.mean, scale=self.scale)


def write_checkpoint(path: Path, state_dict: Mapping[str, torch.Tensor], facts: CheckpointFacts, *, half: bool) -> None:
    """Replace ``path`` by a safetensors file with these weights and facts, or leave what was there.

    Args:
        path: where to; its directory is made.
        state_dict: of the network, with any floating type.
        facts: stored as JSON under the metadata key ``shelfcam``.
        half: store tensors of two or more dimensions as float16. Biases and batch-norm statistics stay float32: they are less
            than 2 % of a network's bytes, and small variances would not survive.

    Raises:
        DataError: a weight is not finite, or does not fit into float16.
        SinkError: it cannot be written.
    """
    save = import_extra("safetensors.torch").save
    stored = {key: _stored(key, tensor, path, half) for key, tensor in state_dict.items()}
    write_atomic(path, save(stored, metadata={METADATA_KEY: msgspec.json.encode(facts).decode()}))


_HEADER_BYTES_MAX = 16_000_000  # a network of 20,000 tensors has 2 MB
_DTYPES = frozenset(["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"])


def read_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], CheckpointFacts | None]:
    """(weights, facts) of any safetensors file; floating tensors come as float32, and a file of another origin has no facts.

    Raises:
        InputMissingError: no such file.
        DataError: not a safetensors file, damaged, with tensors that no network has, or its facts cannot be understood.
    """
    with _open(path) as file:
        facts = facts_in(path, (file.metadata() or {}).get(METADATA_KEY))
        tensors = {key: file.get_tensor(key) for key in sorted(file.keys())}
    for key, tensor in tensors.items():
        if (dtype := str(tensor.dtype).removeprefix("torch.")) not in _DTYPES:
            raise DataError(f"{path}: weight {key[:80]} is stored as {dtype}", fix="save the float network's state_dict")
    return {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}, facts


def read_facts(path: Path) -> CheckpointFacts | None:
    """The facts alone, without reading the weights; ``None`` where there are none. Raises as ``read_checkpoint``."""
    with _open(path) as file:
        return facts_in(path, (file.metadata() or {}).get(METADATA_KEY))


def _open(path: Path) -> Any:
    safetensors = import_extra("safetensors")
    if not path.is_file():
        raise InputMissingError(f"{path}: no such file")
    try:
        with path.open("rb") as file:  # its header is parsed as a whole, and a network's is small
            header_bytes = int.from_bytes(file.read(8), "little")
        if header_bytes > _HEADER_BYTES_MAX:
            raise DataError(f"{path}: no safetensors file of a network: its header has {header_bytes:,} bytes")
        return safetensors.safe_open(path, framework="pt")
    except (safetensors.SafetensorError, OSError) as error:
        raise DataError(
            f"{path}: not a safetensors file, or damaged: {error}", fix="copy it again from where it came"
        ) from error


def _stored(key: str, tensor: torch.Tensor, path: Path, half: bool) -> torch.Tensor:
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        stored = tensor.half() if half and tensor.ndim > 1 else tensor.float()
        if not bool(stored.isfinite().all()):
            reason = "does not fit into float16" if bool(tensor.isfinite().all()) else "has values that are NaN or infinite"
            raise DataError(f"{path}: weight {key} {reason}; nothing was written")
        tensor = stored
    # a clone, because safetensors refuses tensors that share memory
    return tensor.clone().contiguous()


def facts_in(path: Path, text: str | None) -> CheckpointFacts | None:
    """The facts in ``text``, which was found in ``path``; ``None`` for none. Raises DataError."""
    if text is None:
        return None
    try:
        schema = msgspec.json.decode(text, type=dict[str, Any]).get("schema")
        if isinstance(schema, int) and schema > SCHEMA:
            raise DataError(f"{path}: its facts have schema {schema}, newer than {SCHEMA}", fix="update shelfcam")
        facts = msgspec.json.decode(text, type=CheckpointFacts)
    except msgspec.MsgspecError as error:
        raise DataError(f"{path}: its facts ({METADATA_KEY}) cannot be understood: {error}") from error
    if any(map(has_control, (facts.spec, facts.licence or "", facts.notes, *facts.labels))):
        raise DataError(
            f"{path}: its facts ({METADATA_KEY}) hold control characters", fix="train again from the labels as text"
        )
    if prod(facts.size_hw_px) > _PIXELS_MAX or len(facts.labels) > _LABELS_MAX:
        raise DataError(
            f"{path}: its facts have size_hw_px {facts.size_hw_px} and {len(facts.labels):,} labels; at most {_PIXELS_MAX:,} pixels and"
            f" {_LABELS_MAX:,} labels"
        )
    if min(facts.size_hw_px) < 1 or min(facts.scale) <= 0:
        raise DataError(f"{path}: its facts have size_hw_px {facts.size_hw_px} and scale {facts.scale}; all must be above zero")
    return facts
