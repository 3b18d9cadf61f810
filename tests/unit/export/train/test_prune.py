"""Pruning towards a budget: counted, checked against the network that it came from, and refused where it cannot be right."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("torch_pruning")

import torch

from edge.errors import DataError, UsageError
from export.load.model import FloatModel
from export.train.channels import Graph, without
from export.train.prune import Budget, Pruned, by_magnitude, graph_of, prune
from export.train.report import measure
from tests.fakes.tiny_net import GRID, tiny_model
from tests.fakes.wide_nets import Normed, Shuffled, Wide


def network(kind: type[torch.nn.Module] = Wide) -> FloatModel:
    torch.manual_seed(0)
    return FloatModel("wide", kind().eval(), (32, 32), GRID, ("a", "b", "c"), None, None, None, 3)


def pruned(model: FloatModel, budget: Budget) -> Pruned:
    graph, head = graph_of(replace(model, module=copy.deepcopy(model.module)))
    return prune(model, budget, graph, head, by_magnitude(graph))


@pytest.mark.parametrize("unit", ["macs", "weights"])
@pytest.mark.parametrize("share", [0.75, 0.4])
def test_the_budget_is_met_and_used(unit: str, share: float) -> None:
    model = network()
    before = measure(model)
    limit = round(share * Budget(unit, 0).used(before))
    result = pruned(model, Budget(unit, limit))
    used = Budget(unit, limit).used(result.size)
    assert 0.8 * limit < used <= limit
    assert measure(result.model) == result.size
    assert result.size.parameters == sum(p.numel() for p in result.model.module.parameters())
    assert measure(model) == before, "the network that was given is left as it is"
    assert {width % 8 for width, _ in result.kept.values()} == {0}
    assert all(4 * width >= count for width, count in result.kept.values())
    assert result.model.module.head.out_features == 3


def test_the_channels_of_least_worth_go() -> None:
    model = network()
    with torch.no_grad():
        for layer in (model.module.excite, model.module.expand, model.module.depthwise):
            layer.weight[3:11] *= 1e-3
        for layer in (model.module.squeeze, model.module.project):
            layer.weight[:, 3:11] *= 1e-3
    result = pruned(model, Budget("macs", round(0.9 * measure(model).macs)))
    assert result.kept["excite"] == (56, 64)
    left = torch.cat([model.module.depthwise.weight[:3], model.module.depthwise.weight[11:]])
    assert torch.equal(result.model.module.depthwise.weight, left)


def test_a_budget_that_cannot_be_met_says_what_can() -> None:
    model = network()
    with pytest.raises(DataError, match="the budget of 1,000 macs cannot be met") as caught:
        pruned(model, Budget("macs", 1000))
    least = int(str(caught.value).split("met: ")[1].split(" ")[0].replace(",", ""))
    assert pruned(model, Budget("macs", least)).size.macs == least
    with pytest.raises(DataError, match="cannot be met"):
        pruned(model, Budget("macs", least - 1))


def test_a_budget_that_is_no_limit() -> None:
    with pytest.raises(UsageError, match="is no limit"):
        pruned(network(), Budget("macs", 10**9))


def test_a_channel_shuffle_is_refused_with_the_reason() -> None:
    model = network(Shuffled)
    with pytest.raises(DataError, match="shuffles channels"):
        pruned(model, Budget("macs", round(0.6 * measure(model).macs)))


def test_a_layer_across_channels_is_refused() -> None:
    model = network(Normed)
    with pytest.raises(DataError, match="computes across channels"):
        pruned(model, Budget("macs", round(0.6 * measure(model).macs)))


def test_a_program_is_refused() -> None:
    model = network()
    traced = torch.export.export(model.module, (torch.zeros(2, 3, 32, 32),)).module()
    with pytest.raises(DataError):
        graph_of(replace(model, module=torch.fx.GraphModule(traced, traced.graph)))


def test_what_is_left_answers_as_if_nobody_read_the_others() -> None:
    model = network()
    small = without(model.module, (32, 32), "head", {"expand": [0, 3, 9], "squeeze": [1], "stem": [2, 18]})
    silenced = copy.deepcopy(model.module)
    with torch.no_grad():
        silenced.project.weight[:, [0, 3, 9]] = 0
        silenced.squeeze.weight[:, [0, 3, 9]] = 0
        silenced.excite.weight[:, [1]] = 0
        silenced.expand.weight[:, [2, 18]] = 0
        silenced.grouped.weight[:, 2] = 0
    pictures = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(small(pictures), silenced(pictures), rtol=1e-4, atol=1e-5)
    assert small.depthwise.groups == 61
    assert Graph(copy.deepcopy(small), (32, 32), "head").layers["squeeze"].inputs == 61
    with pytest.raises(DataError, match="loses track"):
        without(model.module, (32, 32), "head", {"stem": [2, 18, 31]})  # 31 has no partner in the first block


def test_work_is_counted_as_in_the_exported_file(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from export.judge.op_counts import count

    model = tiny_model()
    path = tmp_path / "tiny.onnx"
    torch.onnx.export(model.module, (torch.zeros(1, 3, 32, 32),), path, dynamo=True, verbose=False)
    counted = count(path, "onnx", (1, 3, 32, 32))
    size = measure(model)
    assert size.macs == counted.macs
    assert size.weights == counted.weights.elements
