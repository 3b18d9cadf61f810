"""Network + weights + facts → ``FloatModel``, whatever the SPEC is."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import DataError, UsageError
from edge.files import sha256_of
from edge.manifest import Normalisation
from export.load import factory, zoo
from export.load.checkpoint import CheckpointFacts, read_facts
from export.load.head import find_head, run_zeros, running_parameters, with_new_head
from export.load.labels import labels_for, numbered, read_labels
from export.load.model import FloatModel, check_finite
from export.load.programs import DEFAULT_SIZE_PX, is_program, load_program
from export.load.random_init import seeded, settle
from export.load.spec import ModelSpec
from export.load.weights import SAFETENSORS, put_weights, read_weights
from export.load.zoo_table import IMAGENET
from export.tasks import task_of

if TYPE_CHECKING:
    import torch

_NAME_MAX = 64  # of a model in the manifest
_SPEC_SHOWN = 80  # characters of what a file says


@dataclass(frozen=True, slots=True)
class _Network:
    """A network with its weights, before anything is said of labels. ``file`` is where the weights came from, ``sha256``
    that of what was read of it, where that was read at once."""

    name: str
    module: torch.nn.Module
    size_hw_px: tuple[int, int]
    normalisation: Normalisation
    licence: str | None
    file: Path | None
    sha256: str | None = None


def load(spec: ModelSpec) -> FloatModel:
    """The network that ``spec`` describes, in eval mode, its weights and labels checked; equal specs give equal networks.

    Raises:
        UsageError: the spec is not understood, contradicts itself, or needs an option that is not there.
        InputMissingError: a file that it names is missing.
        BackendError: a package that it needs is not installed.
        DataError: weights, labels or program cannot be used: they want to run code, are damaged, are not finite, or do not fit.
    """
    task = task_of(spec.task)
    network, spec, facts = _program(spec) if is_program(spec.spec) else _from_layers(spec)
    module = network.module.eval()
    check_finite(module, str(network.file or spec.spec))
    if not is_program(spec.spec) and (facts is not None or ":" not in spec.spec):
        module = task.from_classifier(module, network.size_hw_px)  # as the zoo's are; a factory makes what it makes
    width = int(run_zeros(module, network.size_hw_px).shape[1])
    if task.picks_class and spec.num_classes not in (None, width):
        raise DataError(f"{spec.spec}: the network has {width} outputs, not the {spec.num_classes} of --num-classes")
    return FloatModel(
        name=network.name,
        module=module,
        size_hw_px=network.size_hw_px,
        normalisation=spec.normalisation or network.normalisation,
        labels=_labels(spec, facts, width) if task.has_labels else (),
        checkpoint=network.file.name if network.file else None,
        checkpoint_sha256=network.sha256 or (sha256_of(network.file) if network.file else None),
        licence=facts.licence if facts else network.licence,
        width=width,
        fit=spec.fit or "centre_crop",
        task=spec.task,
        weights="random" if spec.random_weights else "trained",
    )


_Opened = tuple[_Network, ModelSpec, CheckpointFacts | None]
"""A network, the spec with what its file says of itself wherever it was silent, and that."""


def _from_layers(spec: ModelSpec) -> _Opened:
    """A network that is built, and not read."""
    spec, facts = _with_facts(spec)
    _check_options(spec)
    if ":" in spec.spec:
        return _factory(spec, made_classifier=facts is not None or task_of(spec.task).picks_class), spec, facts
    return _named(spec), spec, facts


def _with_facts(spec: ModelSpec) -> tuple[ModelSpec, CheckpointFacts | None]:
    """What a self-describing checkpoint says, wherever ``spec`` is silent.

    A file may name networks of the zoo, and no more: what stands in it was written by whoever made it, and a factory is code that runs.
    """
    own = spec.spec.endswith(SAFETENSORS)
    if own and spec.weights is not None:
        raise UsageError(f"{spec.spec}: weights twice: SPEC and --weights {spec.weights}", fix="leave one out")
    path = Path(spec.spec) if own else spec.weights
    facts = read_facts(path) if path is not None and path.suffix == SAFETENSORS else None
    if own and facts is None:
        raise DataError(f"{path}: does not say which network it belongs to", fix=f"name it as SPEC: NETWORK --weights {path}")
    if facts is None:
        return spec, None
    if own and facts.spec not in zoo.ZOO:
        raise DataError(
            f"{path}: says that it belongs to {facts.spec[:_SPEC_SHOWN]!r}; a file may name networks of the zoo only, because any other"
            " name runs code",
            fix=f"where you know the network, type its factory as SPEC: package.module:factory --weights {path}",
        )
    if not own and facts.spec != spec.spec:
        raise DataError(
            f"{path}: holds weights of {facts.spec[:_SPEC_SHOWN]}, not of {spec.spec}",
            fix=f"give {facts.spec} as SPEC" if facts.spec in zoo.ZOO else "give as SPEC what these weights were trained with",
        )
    return _filled(replace(spec, spec=facts.spec, weights=path), facts), facts


def _filled(spec: ModelSpec, facts: CheckpointFacts) -> ModelSpec:
    return replace(
        spec,
        num_classes=spec.num_classes or len(facts.labels) or None,
        size_hw_px=spec.size_hw_px or facts.size_hw_px,
        normalisation=spec.normalisation or facts.normalisation,
        fit=spec.fit or facts.fit,
    )


def _check_options(spec: ModelSpec) -> None:
    chosen = {"--weights": spec.weights is not None, "--pretrained": spec.pretrained, "--random-weights": spec.random_weights}
    given = [option for option, is_set in chosen.items() if is_set]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} contradict each other", fix="give one of them")
    if spec.num_classes is not None and spec.num_classes < 1:
        raise UsageError(f"--num-classes {spec.num_classes}: at least 1")
    if spec.size_hw_px is not None and min(spec.size_hw_px) < 1:
        raise UsageError(f"--input-size {spec.size_hw_px[0]}x{spec.size_hw_px[1]}: at least 1x1")
    if spec.normalisation is not None and min(spec.normalisation.scale) <= 0:
        raise UsageError(f"--scale {spec.normalisation.scale}: all three above zero")
    task = task_of(spec.task)
    if spec.labels is not None and not task.has_labels:
        raise UsageError(f"{task.noun} has no labels", fix="leave --labels out")


def _program(spec: ModelSpec) -> _Opened:
    _check_options(spec)
    if spec.weights is not None or spec.random_weights:
        option = "--random-weights" if spec.random_weights else "--weights"
        raise UsageError(f"{spec.spec}: a program brings its own weights", fix=f"leave {option} out")
    path = Path(spec.spec)
    program = load_program(path, spec.size_hw_px)
    filled = spec if program.facts is None else _filled(spec, program.facts)
    return (
        _Network(_name(path.stem), program.module, program.size_hw_px, IMAGENET, None, path, program.sha256),
        filled,
        program.facts,
    )


def _factory(spec: ModelSpec, *, made_classifier: bool) -> _Network:
    call = factory.parse(spec.spec)
    if not (spec.weights or spec.pretrained or spec.random_weights):
        raise UsageError(
            f"{spec.spec}: which weights?",
            fix="--weights FILE, --pretrained if the factory loads trained ones itself, or --random-weights for benchmarks",
        )
    size = spec.size_hw_px or DEFAULT_SIZE_PX
    module = _built(spec, spec.seed)
    if spec.pretrained and (drawn := _differing(module, _built(spec, spec.seed + 1), size)):
        raise DataError(
            f"{spec.spec}: makes other weights with another seed ({', '.join(drawn[:3])}), so they are drawn and not trained",
            fix="have the factory load trained ones, as in timm:create_model('resnet18', pretrained=True), or give --weights FILE",
        )
    literal = call.args[0] if call.args and isinstance(call.args[0], str) else call.attribute.rpartition(".")[2]
    network = _Network(_name(literal), module, size, IMAGENET, None, spec.weights)
    return _weighted(spec, network, spec.num_classes if made_classifier else None)


def _built(spec: ModelSpec, seed: int) -> torch.nn.Module:
    with seeded(seed):
        return factory.build(spec.spec, spec.num_classes).float().cpu().eval()


def _differing(one: torch.nn.Module, other: torch.nn.Module, size_hw_px: tuple[int, int]) -> list[str]:
    """Names of the weights that run and are not the same in both."""
    theirs = dict(other.named_parameters())
    ours = running_parameters(one, size_hw_px)
    return [name for name, value in ours if name not in theirs or not value.equal(theirs[name])]


def _named(spec: ModelSpec) -> _Network:
    entry = zoo.find(spec.spec)
    if not (spec.weights or spec.pretrained or spec.random_weights):
        fix = "add --pretrained" if entry.weights else "--weights FILE, or --random-weights for benchmarks"
        raise UsageError(f"{entry.name}: which weights?", fix=fix)
    file = zoo.pretrained_file(entry) if spec.pretrained else spec.weights
    size = spec.size_hw_px or entry.size_hw_px
    with seeded(spec.seed):
        module = zoo.build(entry, size).eval()
    licence = None if spec.weights else entry.licence  # of the architecture's code and its own weights, not of a user's
    return _weighted(spec, _Network(entry.name, module, size, entry.normalisation, licence, file), spec.num_classes)


def _weighted(spec: ModelSpec, network: _Network, wanted: int | None) -> _Network:
    """The network with ``wanted`` outputs (``None``: as it comes), and its weights."""
    module, size = network.module, network.size_hw_px
    if wanted is not None:
        width = int(run_zeros(module, size).shape[1])
        if width != wanted and spec.pretrained:
            raise UsageError(
                f"{spec.spec}: its trained head has {width} outputs, not {wanted}",
                fix="leave --num-classes out, or train a head for your classes: shelfcam finetune",
            )
        if width != wanted:
            module = with_new_head(module, wanted, size, spec.seed)
    if spec.random_weights:
        settle(module, size, spec.normalisation or network.normalisation, spec.seed)
    elif network.file is not None:
        put_weights(module, read_weights(network.file), str(network.file), _head_name(module, size))
    return replace(network, module=module)


def _head_name(module: torch.nn.Module, size_hw_px: tuple[int, int]) -> str | None:
    try:
        return find_head(module, size_hw_px).name
    except DataError:  # an embedder has none; then a message is less exact
        return None


def _labels(spec: ModelSpec, facts: CheckpointFacts | None, width: int) -> tuple[str, ...]:
    if spec.labels is not None:
        return labels_for(width, read_labels(spec.labels), str(spec.labels))
    if facts is not None and facts.labels:
        return labels_for(width, facts.labels, str(spec.weights or spec.spec))
    # class names would make an untrained network's answers look like answers
    return numbered(width) if spec.random_weights else labels_for(width, None, spec.spec)


def _name(text: str) -> str:
    """A model's name as the manifest allows it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:_NAME_MAX] or "network"
