"""Which model of which bundle a site runs, on what, and why this one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Protocol, TypeVar

from edge.backends import runtime_of
from edge.board.boards import board_defaults, thread_count
from edge.bundle.kept import KeptBundles
from edge.bundle.reader import Bundle, open_bundle
from edge.choice.loader import Around, ChoosingModels, FixedModel, ModelLoader
from edge.choice.pick import Choice
from edge.choice.places import Wanted, accelerators
from edge.choice.require import require_provider
from edge.choice.store import ChoiceStore, TrialStore
from edge.choice.trial import Trials
from edge.config import AUTO, DeviceConfig, state_directory
from edge.data import Provider
from edge.errors import BackendError, ConfigError, ProviderError, SinkError
from edge.manifest import Candidate, Model, Step
from edge.stages.base import ActiveModel

_LOG = logging.getLogger(__name__)

BUILTIN = "builtin:"
BUILTIN_BUNDLES = ("grocery", "imagenet")
DEFAULT_BUNDLE = BUILTIN + "grocery"

T_co = TypeVar("T_co", covariant=True)
FirstModel = tuple[ActiveModel, str | None]
"""What ``first_model`` gives when it loads it."""


def find_bundle(config: DeviceConfig) -> Bundle:
    """The configured bundle, or the default one inside the package."""
    return open_bundle(bundle_directory(config.model.bundle or DEFAULT_BUNDLE))


def bundle_directory(text: str) -> Path:
    """``text`` as a path; or, written ``builtin:NAME``, a bundle that ships inside the package.

    Raises:
        ConfigError: no such bundle inside the package.
    """
    name = text.removeprefix(BUILTIN)
    if name == text:
        return Path(text)
    if name not in BUILTIN_BUNDLES:
        known = " or ".join(BUILTIN + bundle for bundle in BUILTIN_BUNDLES)
        raise ConfigError(f"no bundle {text!r} inside the package", fix=f"{known}, or a directory")
    return Path(str(resources.files("edge") / "assets" / name))


def find_model(bundle: Bundle, name: str | None) -> Model:
    """The model of that name; without a name the only one. Raises ConfigError listing what there is."""
    models = bundle.manifest.models
    names = ", ".join(m.name for m in models)
    if name is None and len(models) == 1:
        return models[0]
    chosen = next((m for m in models if m.name == name), None)
    if chosen is None:
        what = "holds several models" if name is None else f"has no model {name!r}"
        raise ConfigError(f"{bundle.directory}: {what}", fix=f"name one of: {names}")
    return chosen


def find_steps(bundle: Bundle, name: str | None) -> tuple[Step, ...]:
    """What runs of a bundle, in order: the model of that name; without a name its pipeline, or its only model. Raises ConfigError."""
    if name is None and bundle.manifest.steps:
        return bundle.manifest.steps
    return (Step(model=find_model(bundle, name).name),)


def find_models(config: DeviceConfig, bundle: Bundle) -> list[Model]:
    """What runs of the bundle for this site, in the order of ``find_steps``.

    Raises:
        ConfigError: there is no such model, or a slot asks for an answer that none of them gives.
    """
    found = [find_model(bundle, step.model) for step in find_steps(bundle, config.model.name)]
    there = [answer.name for model in found for answer in model.answers]
    for slot in config.slot:
        lacking = [name for name in slot.answers if name not in there]
        if lacking:
            raise ConfigError(
                f"slot {slot.name!r}: answers: {bundle.directory} gives no {lacking[0]!r}",
                fix=f"name some of: {', '.join(there)}",
            )
    return found


def find_candidate(model: Model, name: str) -> Candidate:
    """The candidate of that name. Raises ConfigError listing what there is."""
    candidate = model.candidate(name)
    if candidate is None:
        names = ", ".join([AUTO, *(c.name for c in model.candidates)])
        raise ConfigError(f"model {model.name!r} has no candidate {name!r}", fix=f"name one of: {names}")
    return candidate


def choice_store(config: DeviceConfig) -> ChoiceStore:
    """Where this camera's choices are remembered."""
    return ChoiceStore(state_directory(config) / "choices.json")


def wanted(config: DeviceConfig) -> Wanted:
    """How the site wants its model run. A named candidate runs on the named provider; with none named, on the CPU."""
    model = config.model
    named = None if model.candidate == AUTO else model.candidate
    return Wanted(
        provider="cpu" if named is not None and model.provider == AUTO else model.provider,
        candidate=named,
        order=board_defaults().providers,
        cpus=tuple(sorted(set(model.affinity))),
        delegate=model.delegate,
        delegate_options=tuple(sorted(model.delegate_options.items())),
        engines=state_directory(config) / "engines",
    )


def trials_of(config: DeviceConfig) -> Trials:
    """The trials that this camera's bundles have passed or failed."""
    return Trials(store=TrialStore(state_directory(config) / "trials.json"))


def kept_bundles(config: DeviceConfig) -> KeptBundles:
    """The bundles that have run for this camera."""
    return KeptBundles(state_directory(config) / "bundles")


def build_loader(
    config: DeviceConfig, bundle: Bundle, model: Model, *, trials: Trials | None = None, around: Around | None = None
) -> ModelLoader:
    """What turns a candidate of the model into one that runs, as the site wants it."""
    threads = thread_count(config.model.threads, config.model.affinity)
    return ModelLoader(
        bundle,
        model,
        threads=threads,
        top_k=config.model.top_k,
        wanted=wanted(config),
        trials=trials_of(config) if trials is None else trials,
        around=around or (lambda _, load: load()),
    )


def load_model(config: DeviceConfig) -> ActiveModel:
    """The one candidate that a finite job uses from start to end: the named one, the remembered choice, or the safe one."""
    bundle = find_bundle(config)
    loader = build_loader(config, bundle, find_model(bundle, config.model.name))
    active, reason = first_model(config, loader, loader.load)
    if reason is None and loader.wanted.insists:
        active.backend.close()
        return loader.load_wanted()
    return active


def admit_first(config: DeviceConfig, trials: Trials) -> list[str]:
    """Let each candidate that would run first pass its trial; the keys of those that needed one.

    Raises:
        BundleError: the bundle is none, is damaged, or fails its trial.
        InputMissingError, ConfigError: there is none, or not what the site names of it.
        BackendError: its runtime is missing here.
    """
    bundle = find_bundle(config)
    loaders = [build_loader(config, bundle, model, trials=trials) for model in find_models(config, bundle)]
    keys = [first_model(config, loader, loader.admit)[0] for loader in loaders]
    return [key for key in keys if key is not None]


def refuse_failed(config: DeviceConfig, bundle: Bundle, model: Model) -> None:
    """Raises BundleError if the candidate that would run first is remembered to have failed its trial; starts nothing."""
    trials = trials_of(config)
    loader = build_loader(config, bundle, model, trials=trials)
    first_model(config, loader, lambda candidate, place="cpu": trials.refuse_failed(bundle, model, candidate, place))


class _Use(Protocol[T_co]):
    def __call__(self, candidate: Candidate, place: Provider = "cpu", /) -> T_co: ...


def first_model(config: DeviceConfig, loader: ModelLoader, use: _Use[T_co]) -> tuple[T_co, str | None]:
    """What ``use`` makes of the candidate to start with, and why it is that; no reason means: the safe one, because nothing is known."""
    named, insists = config.model.candidate, loader.wanted.insists
    candidate = None if named == AUTO else find_candidate(loader.model, named)
    if candidate is not None and not insists:
        return use(candidate), "named by the user"
    known = choice_store(config).recall(loader.key)
    if known is not None:
        try:
            return use(*loader.chosen(known)), f"remembered: {known.reason}"
        except BackendError as error:  # a driver that is gone after an update, for example: as if nothing were known
            _LOG.warning("what was chosen cannot run, so the candidates are measured again: %s", error)
    return loader.safest(use), None


def remember_choice(config: DeviceConfig, key: str, choice: Choice) -> None:
    """A full disk costs a new measurement at the next start, not the service."""
    try:
        choice_store(config).remember(key, choice)
    except SinkError as error:
        _LOG.warning("the choice is not remembered: %s", error)


def build_models(
    loader: ModelLoader, first: FirstModel, live: bool, moved: Callable[[Choice, bool], None]
) -> tuple[FixedModel | ChoosingModels, str]:
    """The candidates of a run that starts with ``first``, and why that is the first. They own what it holds. ``live``: the source is a
    camera."""
    active, reason = first
    if reason is not None:
        return FixedModel(active), reason
    try:
        require_provider(loader.wanted, loader.model)
    except ProviderError:
        active.backend.close()
        raise
    if loader.wanted.insists and not live:  # a finite job has no time to measure, and may wait
        active.backend.close()
        return FixedModel(loader.load_wanted()), "named by the user"
    if _nothing_to_choose(loader):
        return FixedModel(active), "the only candidate"
    if not live:  # it keeps the machine busy to its end: there is no idle moment to measure in
        return FixedModel(active), "safe candidate; `shelfcam choose` measures the others"
    return ChoosingModels(loader, active, moved), "safe candidate while the others are measured"


def _nothing_to_choose(loader: ModelLoader) -> bool:
    """One candidate, and only the CPU to run it on."""
    first, *others = loader.model.candidates
    if others or loader.wanted.insists:
        return False
    return not accelerators(first, loader.wanted, runtime_of(first).available())
