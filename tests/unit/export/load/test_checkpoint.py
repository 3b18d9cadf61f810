"""Checkpoints that say what they are."""

from __future__ import annotations

import json
import os

import msgspec
import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import save_file

from edge.errors import DataError, InputMissingError, SinkError
from export.load.checkpoint import METADATA_KEY, CheckpointFacts, read_checkpoint, read_facts, write_checkpoint
from tests.fakes import networks

FACTS = CheckpointFacts(
    spec="tests.fakes.networks:sized",
    labels=("crate", "jar", "bag"),
    size_hw_px=(32, 40),
    mean=(127.0, 127.0, 127.0),
    scale=(128.0, 128.0, 128.0),
    fit="stretch",
    licence="CC0-1.0",
    notes="trained on drawings",
)


@pytest.mark.parametrize("half", [False, True])
def test_weights_and_facts_come_back(tmp_path, half):
    state = networks.sized(3).state_dict()
    path = tmp_path / "new" / "c.safetensors"
    write_checkpoint(path, state, FACTS, half=half)
    again, facts = read_checkpoint(path)
    assert facts == FACTS == read_facts(path)
    assert again.keys() == state.keys()
    assert again["1.num_batches_tracked"].dtype == torch.int64
    for key, tensor in state.items():
        assert again[key].dtype in (torch.float32, torch.int64)
        assert torch.allclose(again[key], tensor, rtol=1e-3 if half else 0, atol=1e-6 if half else 0), key


def test_half_halves_matrices_and_spares_statistics(tmp_path):
    state = {"matrix": torch.rand(64, 64), "variance": torch.full((4,), 1e-9)}
    write_checkpoint(tmp_path / "full.safetensors", state, FACTS, half=False)
    write_checkpoint(tmp_path / "half.safetensors", state, FACTS, half=True)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * (tmp_path / "full.safetensors").stat().st_size
    assert torch.equal(read_checkpoint(tmp_path / "half.safetensors")[0]["variance"], state["variance"])


def test_the_same_content_gives_the_same_bytes(tmp_path):
    state = networks.sized(3).state_dict()
    for name in ("one", "two"):
        write_checkpoint(tmp_path / name, state, FACTS, half=True)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_tensors_that_share_memory_are_written(tmp_path):
    shared = torch.rand(3, 3)
    write_checkpoint(tmp_path / "c.safetensors", {"a": shared, "b": shared.T}, FACTS, half=False)
    assert torch.equal(read_checkpoint(tmp_path / "c.safetensors")[0]["b"], shared.T)


@pytest.mark.parametrize(("value", "reason"), [(float("nan"), "NaN"), (1e6, "float16")])
def test_what_cannot_be_stored_leaves_the_earlier_file(tmp_path, value, reason):
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, {"w": torch.ones(2, 2)}, FACTS, half=True)
    with pytest.raises(DataError, match=rf"weight w .*{reason}"):
        write_checkpoint(path, {"w": torch.full((2, 2), value)}, FACTS, half=True)
    assert torch.equal(read_checkpoint(path)[0]["w"], torch.ones(2, 2))


def test_a_full_disk_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, {"w": torch.ones(2)}, FACTS, half=False)

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SinkError, match="No space left"):
        write_checkpoint(path, {"w": torch.zeros(2)}, FACTS, half=False)
    assert [file.name for file in tmp_path.iterdir()] == ["c.safetensors"]
    assert torch.equal(read_checkpoint(path)[0]["w"], torch.ones(2))


def test_a_file_of_another_origin_has_no_facts(tmp_path):
    save_file({"w": torch.ones(2).bfloat16()}, tmp_path / "c.safetensors", metadata={"format": "pt"})
    weights, facts = read_checkpoint(tmp_path / "c.safetensors")
    assert facts is None
    assert weights["w"].dtype == torch.float32


def _with_metadata(path, **changes):
    value = {**json.loads(msgspec.json.encode(FACTS)), **changes}
    save_file({"w": torch.ones(2)}, path, metadata={METADATA_KEY: json.dumps(value)})
    return path


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": 2, "colour": "BGR"}, "schema 2, newer"),
        ({"colour": "BGR"}, "colour"),
        ({"fit": "crop"}, "fit"),
        ({"scale": [1.0, 0.0, 1.0]}, "above zero"),
    ],
)
def test_facts_that_cannot_be_understood_are_refused(tmp_path, changes, reason):
    with pytest.raises(DataError, match=reason):
        read_facts(_with_metadata(tmp_path / "c.safetensors", **changes))


def test_a_missing_and_a_damaged_file(tmp_path):
    with pytest.raises(InputMissingError, match="no such file"):
        read_checkpoint(tmp_path / "c.safetensors")
    write_checkpoint(tmp_path / "c.safetensors", {"w": torch.ones(99)}, FACTS, half=False)
    (tmp_path / "c.safetensors").write_bytes((tmp_path / "c.safetensors").read_bytes()[:200])
    with pytest.raises(DataError, match="damaged"):
        read_checkpoint(tmp_path / "c.safetensors")
