"""The weights within a ``.pt2`` file: bytes and what its JSON says of them, held against each other."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch

from edge.errors import DataError
from export.load.pt2_guard import FIX

DTYPES = {  # ScalarType of torch/_export/serde/schema.py
    **{1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64"},
    **{12: "bool", 13: "bfloat16"},
}
STRIDED = 7  # of its Layout
_SPREAD_BYTES = 64_000_000  # tensors may share the bytes of the file, but not make much more of them


class StoredTensors:
    """The weights and constants of one program, each read when it is asked for."""

    def __init__(self, path: Path, records: Mapping[str, bytes], parsed: Mapping[str, Any], model: str) -> None:
        self._path, self._records = path, records
        self._places = {
            "data/weights": parsed[f"data/weights/{model}_weights_config.json"]["config"],
            "data/constants": parsed[f"data/constants/{model}_constants_config.json"]["config"],
        }
        self._left = sum(map(len, records.values())) + _SPREAD_BYTES
        self.weights: dict[str, torch.Tensor] = {}
        self.parameters: set[str] = set()
        self._flat: dict[str, bytearray] = {}

    def add(self, name: str) -> None:
        """Read the tensor of that name. Raises DataError."""
        for folder, config in self._places.items():
            if name not in config:
                continue
            entry = config[name]
            if entry["use_pickle"]:
                raise DataError(
                    f"{self._path}: refused: {name[:80]!r} is an object that only running its code restores", fix=FIX
                )
            self.weights[name] = self._tensor(name, entry["tensor_meta"], f"{folder}/{entry['path_name']}")
            if entry["is_param"] is True:
                self.parameters.add(name)
            return
        raise DataError(f"{self._path}: damaged: weight {name[:80]!r} is missing", fix=FIX)

    def _tensor(self, name: str, meta: Mapping[str, Any], place: str) -> torch.Tensor:
        record = self._flat.setdefault(place, bytearray(self._records[place]))
        dtype: torch.dtype = getattr(torch, DTYPES[meta["dtype"]])
        sizes, strides = ([whole(side) for side in meta[key]] for key in ("sizes", "strides"))
        offset = whole(meta["storage_offset"])
        if meta["layout"] != STRIDED or len(sizes) != len(strides):
            raise ValueError(f"weight {name[:80]!r} is not a plain tensor")
        count, last = prod(sizes), offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
        self._left -= count * dtype.itemsize
        if self._left < 0:
            raise DataError(f"{self._path}: refused: its weights would become much larger than the file", fix=FIX)
        if count == 0:
            return torch.zeros(sizes, dtype=dtype)
        if (last + 1) * dtype.itemsize > len(record):
            raise DataError(f"{self._path}: damaged: weight {name[:80]!r} is longer than what is stored of it", fix=FIX)
        flat = torch.frombuffer(record, dtype=dtype, count=len(record) // dtype.itemsize)
        return flat.as_strided(sizes, strides, offset).clone(memory_format=torch.contiguous_format)


def whole(value: Any) -> int:
    """A size that the file gives as a number."""
    number = value["as_int"]
    if type(number) is not int or not 0 <= number < 1 << 48:
        raise ValueError(f"{str(value)[:80]} is no size")
    return number
