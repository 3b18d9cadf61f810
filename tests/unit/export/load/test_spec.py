"""SPEC and its options → a network with everything that an export must know."""

from __future__ import annotations

import msgspec
import pytest

pytest.importorskip("torch")

import torch

from edge.errors import DataError, UsageError
from edge.manifest import Normalisation
from export.load.assemble import load
from export.load.checkpoint import CheckpointFacts, write_checkpoint
from export.load.spec import ModelSpec
from export.load.zoo_table import IMAGENET
from tests.fakes import networks

pytestmark = pytest.mark.usefixtures("quick_reader")

FAKES = "tests.fakes.networks"
SIZED, FIXED = f"{FAKES}:sized", f"{FAKES}:fixed"
TRAINED, EMBEDDER = (f"{FAKES}:create_model('{name}', pretrained=True)" for name in ("sized", "embedder"))
SIZE = (32, 32)
HALF = Normalisation(mean=(127.0, 127.0, 127.0), scale=(128.0, 128.0, 128.0))


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(networks.fixed().state_dict(), path)
    return path


def _labels(tmp_path, text):
    (tmp_path / "labels.txt").write_text(text, encoding="utf-8")
    return tmp_path / "labels.txt"


def test_a_factory_with_weights(weights):
    model = load(ModelSpec(FIXED, weights=weights))
    assert (model.name, model.size_hw_px, model.normalisation, model.fit) == ("fixed", (224, 224), IMAGENET, "centre_crop")
    assert (model.width, model.labels[:2], model.weights, model.checkpoint) == (
        5,
        ("class_0", "class_1"),
        "trained",
        "weights.pth",
    )
    assert len(model.checkpoint_sha256) == 64
    assert not model.module.training
    assert torch.equal(model.module[5].weight, torch.load(weights)["5.weight"])


def test_what_the_command_line_says_counts(weights, tmp_path):
    labels = _labels(tmp_path, "crate\njar\nbag\ntin\ngap\n\n")
    spec = ModelSpec(FIXED, weights=weights, size_hw_px=(32, 48), normalisation=HALF, labels=labels, fit="stretch")
    model = load(spec)
    assert (model.size_hw_px, model.normalisation, model.fit) == ((32, 48), HALF, "stretch")
    assert model.labels == ("crate", "jar", "bag", "tin", "gap")


def test_weights_of_another_width_give_both_numbers_and_then_fit(weights):
    with pytest.raises(DataError, match="layer 5, has 5 classes, and the network 9") as caught:
        load(ModelSpec(SIZED, weights=weights, num_classes=9))
    assert caught.value.fix == "--num-classes 5"
    torch.save(networks.sized(9).state_dict(), weights)
    assert load(ModelSpec(SIZED, weights=weights, num_classes=9)).width == 9
    assert load(ModelSpec(FIXED, weights=weights, num_classes=9)).width == 9, "a factory of one width gets a new head"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("crate\njar\n", "2 labels, but the network has 5 outputs"), ("a\n\nb\n", "line 2 is empty"), ("\n", "no class name")],
)
def test_labels_that_do_not_fit(weights, tmp_path, text, reason):
    with pytest.raises(DataError, match=reason):
        load(ModelSpec(FIXED, weights=weights, labels=_labels(tmp_path, text)))


def test_weights_that_are_no_numbers_are_refused(weights):
    state = networks.fixed().state_dict()
    state["0.weight"][1, 1, 1, 1] = float("nan")
    torch.save(state, weights)
    with pytest.raises(DataError, match=r"weights\.pth: weight 0\.weight has 1 values that are NaN"):
        load(ModelSpec(FIXED, weights=weights))


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (ModelSpec(FIXED), "which weights"),
        (ModelSpec("squeezenet"), "which weights"),
        (ModelSpec(FIXED, pretrained=True, random_weights=True), "contradict"),
        (
            ModelSpec(f"{FAKES}:create_model('sized', True, num_classes=5)", pretrained=True, num_classes=9),
            "trained head has 5 outputs, not 9",
        ),
        (ModelSpec(FIXED, pretrained=True, num_classes=0), "at least 1"),
        (ModelSpec(FIXED, pretrained=True, size_hw_px=(0, 9)), "at least 1x1"),
        (ModelSpec("squeezenet", pretrained=True), "no package carries"),
        (ModelSpec("squeeznet", random_weights=True), "unknown network"),
        (ModelSpec("vgg19", random_weights=True, size_hw_px=(96, 96)), "224×224 pixels only"),
    ],
)
def test_requests_that_cannot_be_met(spec, reason):
    with pytest.raises(UsageError, match=reason):
        load(spec)


def test_a_factory_that_draws_its_weights_is_not_taken_for_a_trained_one():
    assert load(ModelSpec(TRAINED, pretrained=True, size_hw_px=SIZE)).weights == "trained"
    untrained = f"{FAKES}:create_model('sized')"
    with pytest.raises(DataError, match=r"other weights with another seed \(0\.weight, .*\), so they are drawn") as caught:
        load(ModelSpec(untrained, pretrained=True, size_hw_px=SIZE))
    assert "pretrained=True" in caught.value.fix


def test_random_weights_are_marked_repeatable_and_answer_differently():
    one, two, other = (load(ModelSpec(SIZED, random_weights=True, size_hw_px=SIZE, seed=seed)) for seed in (1, 1, 2))
    assert one.weights == "random"
    assert one.checkpoint is None
    keys = one.module.state_dict()
    assert all(torch.equal(keys[key], value) for key, value in two.module.state_dict().items())
    assert not torch.equal(keys["0.weight"], other.module.state_dict()["0.weight"])
    answers = one.module(
        torch.randn(16, 3, *SIZE, generator=torch.Generator().manual_seed(0)) + torch.linspace(-2, 2, 16)[:, None, None, None]
    )
    assert answers.std(dim=0).mean() > 0.1


def test_loading_leaves_the_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    load(ModelSpec(SIZED, random_weights=True, size_hw_px=SIZE))
    assert torch.equal(torch.rand(1), expected)


def test_an_embedder_has_a_width_and_no_labels(weights):
    model = load(ModelSpec(EMBEDDER, pretrained=True, task="embed", size_hw_px=SIZE))
    assert (model.width, model.labels, model.task) == (12, (), "embed")
    with pytest.raises(UsageError, match="no labels"):
        load(ModelSpec(EMBEDDER, pretrained=True, task="embed", labels=weights))


FACTS = CheckpointFacts(
    spec=SIZED,
    labels=("milk", "juice", "yoghurt"),
    size_hw_px=(40, 32),
    mean=HALF.mean,
    scale=HALF.scale,
    fit="letterbox",
    licence="CC0-1.0",
)


@pytest.fixture
def checkpoint(tmp_path):
    write_checkpoint(tmp_path / "c.safetensors", networks.sized(3).state_dict(), FACTS, half=True)
    return tmp_path / "c.safetensors"


def test_a_checkpoint_says_what_the_command_line_does_not(checkpoint):
    model = load(ModelSpec(SIZED, weights=checkpoint))
    assert (model.labels, model.size_hw_px, model.normalisation) == (FACTS.labels, (40, 32), HALF)
    assert (model.fit, model.licence, model.checkpoint) == ("letterbox", "CC0-1.0", "c.safetensors")
    assert load(ModelSpec(SIZED, weights=checkpoint, fit="stretch", size_hw_px=SIZE)).size_hw_px == SIZE


def test_a_checkpoint_of_another_network_is_refused(checkpoint):
    with pytest.raises(DataError, match=f"holds weights of {SIZED}, not of {FIXED}"):
        load(ModelSpec(FIXED, weights=checkpoint))


def test_a_classifiers_checkpoint_embeds_without_its_head(checkpoint):
    model = load(ModelSpec(SIZED, weights=checkpoint, task="embed"))
    assert (model.width, model.labels) == (8, ())


def test_a_factory_of_another_width_fits_its_checkpoint(tmp_path):
    facts = msgspec.structs.replace(FACTS, spec=FIXED)
    write_checkpoint(tmp_path / "c.safetensors", networks.sized(3).state_dict(), facts, half=False)
    assert load(ModelSpec(FIXED, weights=tmp_path / "c.safetensors")).width == 3
    assert load(ModelSpec(FIXED, weights=tmp_path / "c.safetensors", task="embed")).width == 8


def test_a_named_network_embeds_without_its_head():
    pytest.importorskip("pytorchcv.models.squeezenet")
    model = load(ModelSpec("squeezenet_v1_1", random_weights=True, task="embed", size_hw_px=(64, 64)))
    assert (model.width, model.labels, model.task, model.weights) == (512, (), "embed", "random")


def test_safetensors_alone_name_no_network(tmp_path):
    from safetensors.torch import save_file

    save_file(networks.fixed().state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(DataError, match="does not say which network"):
        load(ModelSpec(str(tmp_path / "w.safetensors")))
    assert load(ModelSpec(FIXED, weights=tmp_path / "w.safetensors")).width == 5


def test_a_checkpoint_of_a_zoo_network_needs_no_other_name(tmp_path):
    pytest.importorskip("pytorchcv.models.squeezenet")
    from export.load import zoo

    state = zoo.build(zoo.find("squeezenet_v1_1"), (64, 64)).state_dict()
    facts = msgspec.structs.replace(
        FACTS, spec="squeezenet_v1_1", labels=tuple(f"c{n}" for n in range(1000)), size_hw_px=(64, 64)
    )
    write_checkpoint(tmp_path / "c.safetensors", state, facts, half=True)
    for spec in (ModelSpec(str(tmp_path / "c.safetensors")), ModelSpec("squeezenet_v1_1", weights=tmp_path / "c.safetensors")):
        model = load(spec)
        assert (model.name, model.labels[:2], model.size_hw_px) == ("squeezenet_v1_1", ("c0", "c1"), (64, 64))
