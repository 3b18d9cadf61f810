"""Which candidates are compared: the chosen one, and one of each kind that peers can read."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measure.service import Installation
from benchmarks.record.arguments import parse_candidates
from benchmarks.record.draft import Say
from benchmarks.record.facts import Placed
from benchmarks.record.schema import threads_in_words
from edge import models
from edge.bundle.reader import Bundle, open_bundle
from edge.config import AUTO
from edge.errors import ConfigError, UsageError
from edge.manifest import Candidate, Model


def pick_candidates(bundle: Bundle, model: Model, text: str, threads: int, say: Say) -> list[Placed]:
    """The chosen candidate first, each candidate once. Raises ConfigError, UsageError, GateError or BackendError."""
    if model.first.labels is None:
        raise UsageError(f"model {model.name!r} is no classifier: peers are compared by the best classes of a picture")
    if text != AUTO:
        places = [Placed(bundle, model, candidate) for candidate in parse_candidates(model, text)]
    else:
        say(f"choosing a candidate for {threads_in_words(threads)}")
        chosen = models.find_candidate(model, choose(bundle, model, threads))
        others = [_first(model, "onnx", "int8"), _first(model, "tflite", "int8") or _first(model, "tflite", None)]
        if chosen.format == "onnx":
            others = others[1:]
        wanted = [chosen, *(one for one in others if one), *(one for one in [_first(model, "onnx", "fp32")] if one)]
        places = [Placed(bundle, model, one) for one in {one.name: one for one in wanted}.values()]
    return places


def choose(bundle: Bundle, model: Model, threads: int) -> str:
    """What ``shelfcam choose`` finds here; the only candidate where there is one."""
    if len(model.candidates) == 1:
        return model.candidates[0].name
    with tempfile.TemporaryDirectory(prefix="shelfcam-bench-") as place:
        return Installation(bundle.directory, model.name, AUTO, Path(place)).choose(threads).candidate


def with_fp32(places: list[Placed], directory: Path | None) -> list[Placed]:
    """Also the fp32 ONNX candidate of that bundle, unless one of that name is there. Raises ConfigError if it has none."""
    if directory is None:
        return places
    other = open_bundle(models.bundle_directory(str(directory)))
    model = models.find_model(other, places[0].model.name)
    candidate = _first(model, "onnx", "fp32")
    if candidate is None:
        raise ConfigError(f"{other.directory}: no fp32 ONNX candidate", fix="leave --fp32-bundle out, or name another")
    taken = {place.candidate.name for place in places}
    return places if candidate.name in taken else [*places, Placed(other, model, candidate)]


def _first(model: Model, form: str, precision: str | None) -> Candidate | None:
    found = (c for c in model.candidates if c.format == form and precision in (None, c.precision))
    return next(found, None)
