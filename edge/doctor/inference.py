"""The runtimes, the bundle's candidates, and which of them runs here and why."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import replace

from edge import models
from edge.backends import every_runtime, runtime_of
from edge.backends.base import PROVIDER_FIX, Runtime
from edge.bundle.reader import Bundle
from edge.choice.keys import runtime_versions
from edge.choice.pick import Choice, missing_places
from edge.choice.places import Wanted, accelerators, family, label, on_cpu
from edge.choice.require import fault_of, one_of_each_runtime
from edge.config import AUTO, DeviceConfig
from edge.data import Provider
from edge.doctor.line import Line, fail, failed, ok, warn
from edge.errors import BundleError, ExitCode, ShelfcamError
from edge.manifest import Model


def runtimes(versions: dict[str, str] | None = None) -> list[Line]:
    """Every inference runtime that is installed, with what it can run on."""
    versions = runtime_versions() if versions is None else versions
    if not versions:
        fix = _install(every_runtime().values())
        return [fail("runtime", "no inference runtime is installed", fix, ExitCode.UNAVAILABLE)]
    return [_runtime(name, version) for name, version in versions.items()]


def candidates(config: DeviceConfig, versions: dict[str, str] | None = None) -> list[Line]:
    """The bundle, which of its candidates have a runtime, and which one runs and why."""
    versions = runtime_versions() if versions is None else versions
    try:
        bundle = models.find_bundle(config)
        found = models.find_models(config, bundle)
    except ShelfcamError as error:
        return [failed("bundle", error), *_last_good(config)]
    here = f"{bundle.manifest.name} {bundle.sha256[:12]}, model {' + '.join(model.name for model in found)}"
    runtimes = [_runtimes(model, versions) for model in found]
    lacking = [line for line in runtimes if line is not None]
    if lacking:
        return [ok("bundle", here), *lacking]
    lines = _trial(config, here)
    for model in found:
        faults = try_providers(models.wanted(config), model)
        lines += [line for line in providers(config, faults) if line not in lines]  # of another model's runtime it may be known
        lines += _chosen(config, bundle, model, faults, versions, several=len(found) > 1)
    return [*lines, *_delegate(config)]


def _runtimes(model: Model, versions: dict[str, str]) -> Line | None:
    """What is wrong if no candidate has a runtime here."""
    if _able(model, versions):
        return None
    lacking = [runtime_of(c) for c in one_of_each_runtime(model.candidates)]
    needed = " or ".join(sorted({next(iter(runtime.distributions)) for runtime in lacking}))
    return fail("candidate", f"none can run: they need {needed}", _install(lacking), ExitCode.UNAVAILABLE)


def _able(model: Model, versions: dict[str, str]) -> list[str]:
    """The candidates whose runtime is installed."""
    return [c.name for c in model.candidates if runtime_of(c).distributions.keys() & versions.keys()]


def _trial(config: DeviceConfig, what: str) -> list[Line]:
    """Whether the bundle is let into a process of ours; tried now, in a confined one, if it never was."""
    try:
        tried = models.admit_first(config, replace(models.trials_of(config), remember=False))
    except BundleError as error:
        return [failed("bundle", error), *_last_good(config)]
    except ShelfcamError:  # its runtime, or what the site names of it: other lines tell
        return [ok("bundle", what)]
    return [ok("bundle", f"{what}; passed its trial" if tried else what)]


def _last_good(config: DeviceConfig) -> list[Line]:
    """What the service runs in the place of a bundle that fails."""
    kept = models.kept_bundles(config).all()
    if not kept:
        return []
    names = ", or ".join(one.builtin or one.sha256[:12] for one in kept)
    return [warn("bundle", f"in its place the last good bundle runs: {names}", "mend the configured one, then restart")]


def providers(config: DeviceConfig, faults: dict[Provider, str | None]) -> list[Line]:
    """Each provider beside the CPU that was tried, and whether it can be had; the one that the site names must be."""
    insists = models.wanted(config).insists
    lines = []
    for place, reason in faults.items():
        if reason is None:
            lines.append(ok("provider", f"{place} can be had"))
        elif insists:
            lines.append(fail("provider", reason, PROVIDER_FIX, ExitCode.UNAVAILABLE))
        else:
            lines.append(warn("provider", f"{reason}; the CPU, or another, is used", PROVIDER_FIX))
    return lines


def try_providers(site: Wanted, model: Model) -> dict[Provider, str | None]:
    """Why each provider that this site would try cannot be had by any runtime of the model's candidates, or None if it can; the one that
    the site names is tried whether an installed runtime has it or not. TensorRT's two precisions are one provider. The delegate has a
    line of its own."""
    if site.insists and any(on_cpu(candidate, site) for candidate in model.candidates):
        return {}
    found: dict[Provider, str | None] = {}
    for candidate in one_of_each_runtime(model.candidates):
        places = accelerators(candidate, site, runtime_of(candidate).available())
        for place in {family(place): place for place in places if place != "delegate"}.values():
            if found.get(place, "") is not None:
                found[place] = fault_of(candidate, place, site)
    return found


def _delegate(config: DeviceConfig) -> list[Line]:
    if config.model.delegate is None:
        return []
    placement = models.wanted(config).placement("delegate")
    reasons = [runtime.fault(placement) for runtime in every_runtime().values() if "delegate" in runtime.providers]
    if None in reasons:
        return [ok("delegate", f"{config.model.delegate} can be loaded")]
    return [fail("delegate", str(reasons[0]), "name another, or none, under [model]", ExitCode.UNAVAILABLE)]


def _chosen(
    config: DeviceConfig,
    bundle: Bundle,
    model: Model,
    faults: dict[Provider, str | None],
    versions: dict[str, str],
    *,
    several: bool,
) -> list[Line]:
    """Which candidate of the model runs, and why; ``several``: there are other models, so it is named."""
    name, site, able = config.model.candidate, models.wanted(config), _able(model, versions)
    whose = f"{model.name}/" if several else ""
    if name != AUTO and not site.insists:
        try:
            models.find_candidate(model, name)
        except ShelfcamError as error:
            return [failed("candidate", error)]
        if name in able:
            return [ok("candidate", f"{whose}{name}: named in the config")]
        fix = f"name one of: {', '.join(able)}"
        return [fail("candidate", f"{whose}{name}: its runtime is not installed", fix, ExitCode.UNAVAILABLE)]
    known = models.choice_store(config).recall(models.build_loader(config, bundle, model).key)
    if known is not None:
        return [ok("candidate", f"{whose}{label(known.candidate, known.place)}: {known.reason}"), *_fallbacks(known, faults)]
    of = f" of {model.name}" if several else ""
    why = f"no candidate{of} is measured yet: the safest of {', '.join(able)} runs"
    return [warn("candidate", why, "shelfcam choose, or let the service measure when the machine is idle")]


def _fallbacks(known: Choice, faults: dict[Provider, str | None]) -> list[Line]:
    """What could not be had when the choice was made, but could be now."""
    return [
        warn("candidate", f"{place} can be had now, but not when it was chosen: {reason}", "shelfcam choose")
        for place, reason in missing_places(known.rows).items()
        if any(family(tried) == family(place) and why is None for tried, why in faults.items())
    ]


def _runtime(name: str, version: str) -> Line:
    """Importing it finds what a version number hides: a wheel for another CPU, or another numpy."""
    brought = {key: runtime for key, runtime in every_runtime().items() if name in runtime.distributions}
    try:
        for module in {runtime.distributions[name] for runtime in brought.values()}:
            importlib.import_module(module)
    except (ImportError, AttributeError, OSError) as error:
        found = f"{name} {version} cannot be imported: {error}"
        return fail("runtime", found, f"pip install --force-reinstall {name}", ExitCode.UNAVAILABLE)
    formats = dict.fromkeys(file_format for file_format, _ in brought)
    places = dict.fromkeys(place for runtime in brought.values() for place in runtime.built_with())
    return ok("runtime", f"{name} {version}, {', '.join(formats)}: {', '.join(places)}")


def _install(runtimes: Iterable[Runtime]) -> str:
    return "pip install " + " ".join(f"'{name}'" for name in dict.fromkeys(runtime.install for runtime in runtimes))
