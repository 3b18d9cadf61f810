"""The layer that makes the logits, found and replaced."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from edge.errors import DataError
from export.load.head import find_head, head_parameters, run_zeros, running_parameters, with_new_head, without_head
from tests.fakes import networks

SIZE = (32, 32)


@pytest.mark.parametrize(("factory", "name"), [(networks.fixed, "5"), (networks.squeeze, "2")])
def test_the_head_is_replaced_and_nothing_else(factory, name):
    module = factory()
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    assert find_head(module, SIZE).name == name
    module = with_new_head(module, 7, SIZE, seed=1)
    assert run_zeros(module, SIZE).shape == (1, 7)
    assert head_parameters(module, SIZE) == {f"{name}.weight", f"{name}.bias"}
    after = module.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], before[key]) for key in before if not key.startswith(f"{name}."))


def test_equal_seeds_give_equal_heads():
    one, two, other = (with_new_head(networks.fixed(), 7, SIZE, seed=seed)[5].weight for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


class Helped(nn.Module):
    """Has a second head that only training uses, as GoogLeNet has."""

    def __init__(self):
        super().__init__()
        self.body, self.helper = networks.fixed(), nn.Linear(8, 5)

    def forward(self, x):
        return self.body(x)


def test_what_only_training_uses_does_not_run():
    module = Helped().eval()
    running = [name for name, _ in running_parameters(module, SIZE)]
    assert running == [name for name, _ in module.named_parameters() if not name.startswith("helper")]


def test_in_a_program_all_parameters_count():
    module, picture = Helped().eval(), torch.zeros(1, 3, *SIZE)
    for program in (torch.jit.trace(module, picture), torch.export.export(module, (picture,)).module()):
        everything = {name for name, _ in program.named_parameters()}
        assert {name for name, _ in running_parameters(program, SIZE)} == everything
        assert len(everything) >= 6


def test_modes_are_left_as_they_were():
    module = networks.fixed().train()
    module[1].eval()
    with_new_head(module, 7, SIZE, seed=0)
    assert [part.training for part in module] == [True, False, True, True, True, True]


def test_the_order_of_running_counts_not_that_of_writing():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 6)
            self.body = nn.Linear(3, 4)
            self.unused = nn.Linear(6, 6)

        def forward(self, x):
            return self.head(self.body(x.mean(dim=(2, 3))))

    assert find_head(Backwards(), SIZE).name == "head"


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), r"0 \(Conv2d\)"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), "no layer with weights"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5), nn.LayerNorm(5)), r"3 \(LayerNorm\)"),
    ],
)
def test_a_network_without_such_a_head_is_refused_with_the_reason(module, reason):
    with pytest.raises(DataError, match=reason) as caught:
        with_new_head(module, 7, SIZE, seed=0)
    assert "num_classes" in caught.value.fix


def test_a_layer_that_runs_twice_is_no_head():
    again = nn.Linear(3, 3)
    with pytest.raises(DataError, match="runs 2 times"):
        find_head(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), again, again), SIZE)


@pytest.mark.parametrize("factory", [networks.fixed, networks.squeeze])
def test_a_classifier_without_its_head_embeds(factory):
    module = factory()
    bare = without_head(module, SIZE)
    assert run_zeros(bare, SIZE).shape == (1, 8)
    assert run_zeros(module, SIZE).shape == (1, 5)


def test_what_is_no_row_of_numbers_is_refused():
    with pytest.raises(DataError, match="tuple"):
        run_zeros(networks.two_answers(), SIZE)
    with pytest.raises(DataError, match="1×2×16×16"):
        run_zeros(nn.Conv2d(3, 2, 1, stride=2), SIZE)
    with pytest.raises(DataError, match="1×3×2×2") as caught:
        run_zeros(networks.embedder(), (2, 2))
    assert "--input-size" in caught.value.fix
