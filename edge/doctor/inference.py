"""The runtimes, the bundle's candidates, and which of them runs here and why."""

from __future__ import annotations

import importlib

from edge import app
from edge.backends import BACKENDS
from edge.bundle.manifest import Model
from edge.bundle.reader import Bundle
from edge.choice.machine import machine_key, runtime_versions
from edge.config import AUTO, DeviceConfig, thread_count
from edge.doctor.line import Line, fail, failed, ok, warn
from edge.errors import ExitCode, ShelfcamError

_NEEDS = {"onnx": ("onnxruntime", "onnxruntime-gpu"), "tflite": ("ai-edge-litert", "tflite-runtime")}
"""Model format → the distributions of which one has to be there."""


def runtimes(versions: dict[str, str] | None = None) -> list[Line]:
    """Every inference runtime that is installed, with what it can run on."""
    versions = runtime_versions() if versions is None else versions
    if not versions:
        fix = "pip install 'shelfcam[onnx,litert]'"
        return [fail("runtime", "no inference runtime is installed", fix, ExitCode.UNAVAILABLE)]
    return [_runtime(name, version) for name, version in versions.items()]


def candidates(config: DeviceConfig, versions: dict[str, str] | None = None) -> list[Line]:
    """The bundle, which of its candidates have a runtime, and which one runs and why."""
    versions = runtime_versions() if versions is None else versions
    try:
        bundle = app.find_bundle(config)
        model = app.find_model(bundle, config.model.name)
    except ShelfcamError as error:
        return [failed("bundle", error)]
    here = ok("bundle", f"{bundle.manifest.name} {bundle.sha256[:12]}, model {model.name}")
    able = [c.name for c in model.candidates if set(_NEEDS[c.format]) & versions.keys()]
    if not able:
        needed = " or ".join(sorted({_NEEDS[c.format][0] for c in model.candidates}))
        return [
            here,
            fail("candidate", f"none can run: they need {needed}", "pip install 'shelfcam[onnx,litert]'", ExitCode.UNAVAILABLE),
        ]
    return [here, _chosen(config, bundle, model, able)]


def _chosen(config: DeviceConfig, bundle: Bundle, model: Model, able: list[str]) -> Line:
    name = config.model.candidate
    if name != AUTO:
        try:
            app.find_candidate(model, name)
        except ShelfcamError as error:
            return failed("candidate", error)
        if name in able:
            return ok("candidate", f"{name}: named in the config")
        return fail(
            "candidate", f"{name}: its runtime is not installed", f"name one of: {', '.join(able)}", ExitCode.UNAVAILABLE
        )
    key = machine_key(bundle.sha256, model.name, thread_count(config.model.threads))
    known = app.choice_store(config).recall(key)
    if known is not None:
        return ok("candidate", f"{known.candidate}: {known.reason}")
    why = f"not measured yet: the safest of {', '.join(able)} runs"
    return warn("candidate", why, "shelfcam choose, or let the service measure when the machine is idle")


def _runtime(name: str, version: str) -> Line:
    """Importing it finds what a version number hides: a wheel for another CPU, or another numpy."""
    modules = {"onnxruntime": "onnxruntime", "onnxruntime-gpu": "onnxruntime", "tflite-runtime": "tflite_runtime.interpreter"}
    try:
        module = importlib.import_module(modules.get(name, "ai_edge_litert.interpreter"))
    except (ImportError, AttributeError, OSError) as error:
        found = f"{name} {version} cannot be imported: {error}"
        return fail("runtime", found, f"pip install --force-reinstall {name}", ExitCode.UNAVAILABLE)
    providers = module.get_available_providers() if hasattr(module, "get_available_providers") else ["XNNPACK"]
    kinds = [kind for kind, needs in _NEEDS.items() if name in needs and kind in BACKENDS]
    return ok("runtime", f"{name} {version}, {', '.join(kinds)}: {', '.join(providers)}")
