"""Checkpoints that somebody else made to run code, write files or eat the memory: each is refused, and nothing of it runs."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import save_file

from edge.errors import DataError, ShelfcamError
from export.load.assemble import load
from export.load.checkpoint import METADATA_KEY, CheckpointFacts, read_checkpoint, read_facts
from export.load.spec import ModelSpec
from export.load.weights import read_weights
from tests.fakes import networks
from tests.fakes.hostile_archives import changed
from tests.fakes.tiny_net import SIZE

FACTS = CheckpointFacts(
    spec="squeezenet", labels=("a", "b"), size_hw_px=(SIZE, SIZE), mean=(0, 0, 0), scale=(1, 1, 1), fit="stretch"
)


RUNNING = [
    "os:system('touch {canary}.ran')",
    "subprocess:run(['touch', '{canary}.ran'])",
    "pathlib:Path.touch",
    "tests.fakes.networks:sized",
    'builtins:exec(\'open("{canary}.ran", "w")\')',
    "other.pt2",
    "other.safetensors",
    "squeezenet\nos:system('touch {canary}.ran')",
    "\x1b]0;squeezenet\x07",
    "",
]


@pytest.mark.parametrize("named", RUNNING)
def test_a_checkpoint_that_names_code_runs_nothing(tmp_path, canary, named):
    spec = named.format(canary=canary)
    path = tmp_path / "c.safetensors"
    facts = {**msgspec.to_builtins(FACTS), "spec": spec}
    save_file(networks.sized(2).state_dict(), path, metadata={METADATA_KEY: json.dumps(facts)})
    with pytest.raises(DataError, match=r"c\.safetensors") as caught:
        load(ModelSpec(str(path)))
    assert not Path(f"{canary}.ran").exists()
    assert str(caught.value).isprintable()
    assert spec not in (caught.value.fix or "") or not spec
    with pytest.raises(ShelfcamError):
        load(ModelSpec("squeezenet", weights=path))
    assert not Path(f"{canary}.ran").exists()


def test_a_checkpoint_of_a_factory_is_used_with_the_factory_that_the_user_types(tmp_path):
    path = tmp_path / "c.safetensors"
    facts = {**msgspec.to_builtins(FACTS), "spec": "tests.fakes.networks:sized"}
    save_file(networks.sized(2).state_dict(), path, metadata={METADATA_KEY: json.dumps(facts)})
    with pytest.raises(DataError, match="zoo only") as caught:
        load(ModelSpec(str(path)))
    assert f"--weights {path}" in caught.value.fix
    assert load(ModelSpec("tests.fakes.networks:sized", weights=path)).labels == ("a", "b")


@pytest.mark.parametrize("field", ["labels", "notes", "licence"])
def test_facts_with_control_characters_are_refused(tmp_path, field):
    path = tmp_path / "c.safetensors"
    value = ["a", "\x1b[2J"] if field == "labels" else "\x1b]52;c;aGk=\x07"
    save_file({"w": torch.ones(2)}, path, metadata={METADATA_KEY: json.dumps({**msgspec.to_builtins(FACTS), field: value})})
    with pytest.raises(DataError, match="control characters"):
        read_facts(path)


@pytest.mark.parametrize(
    "claim",
    [{"size_hw_px": [30_000, 30_000]}, {"size_hw_px": [1 << 62, 4]}, {"labels": ["a"] * 600_000}, {"size_hw_px": [1, 1 << 40]}],
)
def test_a_checkpoint_does_not_choose_how_much_memory_is_taken(tmp_path, claim):
    path = tmp_path / "c.safetensors"
    save_file({"w": torch.ones(2)}, path, metadata={METADATA_KEY: json.dumps({**msgspec.to_builtins(FACTS), **claim})})
    with pytest.raises(DataError, match="at most"):
        read_facts(path)


def test_a_checkpoint_whose_header_is_huge_is_not_parsed(tmp_path):
    path = tmp_path / "c.safetensors"
    for length in (17_000_000, 1 << 40, (1 << 64) - 1):
        path.write_bytes(length.to_bytes(8, "little") + b"{" + b" " * 100)
        with pytest.raises(DataError, match=r"c\.safetensors: .*header has"):
            read_facts(path)


@pytest.mark.parametrize("shape", [[1 << 40], [1 << 32, 1 << 32], [(1 << 64) - 1, 2], [-1, 4]])
def test_a_checkpoint_whose_shapes_overflow_is_refused(tmp_path, shape):
    path = tmp_path / "c.safetensors"
    header = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, 8]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(DataError, match=r"c\.safetensors"):
        read_checkpoint(path)


def test_weights_that_inflate_are_refused(tmp_path):
    path = tmp_path / "c.pth"
    torch.save({"w": torch.zeros(100_000_000 // 4 * 2)}, path)
    changed(path, lambda _, content: content, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2_000_000
    with pytest.raises(DataError, match=r"c\.pth: refused: .* would become"):
        read_weights(path)


def test_weights_that_are_views_of_a_few_bytes_are_refused(tmp_path):
    torch.save({"w": torch.zeros(1).expand(1 << 20, 1 << 20)}, tmp_path / "c.pth")
    with pytest.raises(DataError, match=r"c\.pth: refused: .* would become"):
        read_weights(tmp_path / "c.pth")


def test_a_list_that_holds_itself_ends(tmp_path):
    endless: list[object] = [torch.ones(1)]
    endless.append(endless)
    torch.save({"epoch": endless}, tmp_path / "c.pth")
    with pytest.raises(DataError, match="holds no state_dict"):
        read_weights(tmp_path / "c.pth")


def test_an_old_file_that_announces_a_terabyte_does_not_get_it(tmp_path):
    """Before ZIP archives, a storage was allocated as its pickle said."""
    file = io.BytesIO()
    torch.save({"w": torch.zeros(1000)}, file, _use_new_zipfile_serialization=False)
    content = file.getvalue()
    assert content.count(b"M\xe8\x03") >= 1
    (tmp_path / "c.pth").write_bytes(content.replace(b"M\xe8\x03", b"\x8a\x06" + (1 << 40).to_bytes(6, "little")))
    with pytest.raises(DataError, match=r"c\.pth"):
        read_weights(tmp_path / "c.pth")
