"""Weights: read without running anything, and put where they belong."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from edge.errors import DataError, InputMissingError
from export.load.weights import put_weights, read_weights
from tests.fakes import networks

pytestmark = pytest.mark.usefixtures("quick_reader")


class Touch:
    """A pickle of this makes a directory when it is read by a reader that trusts it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_wants_to_run_code_is_refused_and_does_not_run(tmp_path, zipped):
    touched, path = tmp_path / "touched", tmp_path / "model.pth"
    torch.save({"state_dict": {"w": torch.ones(2)}, "evil": Touch(touched)}, path, _use_new_zipfile_serialization=zipped)
    torch.load(path, weights_only=False)
    assert touched.exists(), "the fixture is harmless and proves nothing"
    touched.rmdir()
    with pytest.raises(DataError, match=r"model\.pth: refused: .* wants to call posix\.mkdir") as caught:
        read_weights(path)
    assert not touched.exists()
    assert "state_dict" in caught.value.fix


def test_a_bare_pickle_is_refused_too(tmp_path):
    touched, path = tmp_path / "touched", tmp_path / "model.pth"
    path.write_bytes(pickle.dumps(Touch(touched)))
    with pytest.raises(DataError, match=r"model\.pth"):
        read_weights(path)
    assert not touched.exists()


def test_a_whole_network_in_a_pickle_is_refused_by_its_class(tmp_path):
    torch.save(networks.Viewing(), tmp_path / "model.pth")
    with pytest.raises(DataError, match=r"refused: .* call tests\.fakes\.networks\.Viewing"):
        read_weights(tmp_path / "model.pth")


@pytest.mark.parametrize("holder", [None, "state_dict", "model", "model_state_dict", "ema"])
def test_a_state_dict_is_found_in_its_checkpoint(tmp_path, holder):
    state = networks.fixed().state_dict()
    stored = state if holder is None else {"epoch": 3, "optimizer": {"lr": 0.1}, holder: state}
    torch.save(stored, tmp_path / "c.pth")
    assert read_weights(tmp_path / "c.pth").keys() == state.keys()


def test_plain_weights_go_before_averaged_ones(tmp_path):
    torch.save({"model_ema": {"w": torch.zeros(1)}, "model": {"w": torch.ones(1)}}, tmp_path / "c.pth")
    assert read_weights(tmp_path / "c.pth")["w"] == 1


def test_safetensors_without_facts(tmp_path):
    save_file({"w": torch.ones(2).half()}, tmp_path / "c.safetensors")
    assert read_weights(tmp_path / "c.safetensors")["w"].dtype == torch.float32


@pytest.mark.parametrize("stored", [[1, 2], {"epoch": 3}, {}, torch.ones(3), {"a": torch.ones(1), "b": "text"}])
def test_what_holds_no_state_dict_is_refused(tmp_path, stored):
    torch.save(stored, tmp_path / "c.pth")
    with pytest.raises(DataError, match="holds no state_dict"):
        read_weights(tmp_path / "c.pth")


def test_missing_empty_cut_short_and_foreign_files(tmp_path):
    with pytest.raises(InputMissingError):
        read_weights(tmp_path / "none.pth")
    torch.save(networks.fixed().state_dict(), tmp_path / "whole.pth")
    for content in (b"", (tmp_path / "whole.pth").read_bytes()[:500], b"\x89PNG\r\n\x1a\n" + bytes(64), b"hello, weights"):
        (tmp_path / "c.pth").write_bytes(content)
        with pytest.raises(DataError, match=r"c\.pth"):
            read_weights(tmp_path / "c.pth")


def test_a_torchscript_file_is_no_weights(tmp_path):
    torch.jit.script(networks.Viewing()).save(tmp_path / "p.pt")
    with pytest.raises(DataError, match="TorchScript") as caught:
        read_weights(tmp_path / "p.pt")
    assert "SPEC" in caught.value.fix


@given(st.lists(st.sampled_from(["module.", "_orig_mod.", "model."]), max_size=3))
def test_prefixes_of_training_wrappers_are_taken_off(prefixes):
    module, state = networks.fixed(), networks.fixed().state_dict()
    put_weights(module, {"".join(prefixes) + key: tensor for key, tensor in state.items()}, "c.pth")
    assert all(torch.equal(module.state_dict()[key], tensor) for key, tensor in state.items())


def test_a_prefix_that_the_network_has_stays():
    inner = torch.nn.ModuleDict({"model": torch.nn.Linear(2, 2)})
    put_weights(inner, {"module.model.weight": torch.ones(2, 2), "module.model.bias": torch.zeros(2)}, "c.pth")
    assert torch.equal(inner["model"].weight, torch.ones(2, 2))


def test_an_averaged_model_and_one_without_counters():
    state = {f"module.{key}": value for key, value in networks.fixed().state_dict().items() if "num_batches" not in key}
    put_weights(networks.fixed(), {"n_averaged": torch.tensor(3), **state}, "c.pth")


def test_keys_that_do_not_fit_are_named():
    state = OrderedDict(networks.fixed().state_dict())
    state["0.weights"] = state.pop("0.weight")
    with pytest.raises(DataError, match=r"c\.pth: .*1 missing \(0\.weight\); 1 left over \(0\.weights\)"):
        put_weights(networks.fixed(), state, "c.pth")
    with pytest.raises(DataError, match=r"of another shape \(0\.weight 16×3×3×3 for 8×3×3×3, .*and \d more\)"):
        put_weights(networks.fixed(), networks.sized(5, width=16).state_dict(), "c.pth")


def test_another_number_of_classes_says_the_layer_and_both_numbers():
    with pytest.raises(DataError, match=r"its head, layer 5, has 9 classes, and the network 5") as caught:
        put_weights(networks.fixed(), networks.sized(9).state_dict(), "c.pth", head="5")
    assert caught.value.fix == "--num-classes 9"
