"""Is a configuration right, and is everything that it names there? Nothing is opened, started or written, and every problem is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from edge import models, strict
from edge.bundle.reader import Bundle
from edge.choice.require import refuse_missing
from edge.clock import Clock
from edge.config import AUTO, DeviceConfig, load_config, pictures_directory, state_directory
from edge.errors import ConfigError, ExitCode, InputMissingError, ShelfcamError, SinkError
from edge.exposure import Exposure, exposures
from edge.manifest import Model
from edge.secret import SECRET_FILES, read_secret
from edge.service.process import check_affinity
from edge.site import open_camera
from edge.text import safe_text

T = TypeVar("T")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong. ``area``: config, bundle, model, candidate, source, sink, secret, state or pictures."""

    area: str
    message: str
    fix: str | None
    exit_code: int


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What ``check`` found. ``exit_code``: that of the first problem, or 0; the order is config, bundle, source, sinks, state, pictures.
    ``warnings``: what works, but lays a secret open."""

    config: str
    ok: bool
    exit_code: int
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def check(path: Path) -> CheckReport:
    """Hold the configuration at ``path`` against what is on this machine."""
    problems: list[Problem] = []
    config = _attempt(problems, "config", lambda: load_config(path))
    if config is None:
        problems = [_problem("config", error) for error in _all_faults(path)] or problems
    else:
        problems += check_config(config)
    code = problems[0].exit_code if problems else int(ExitCode.OK)
    open_ = [] if config is None else [_warning(one) for one in exposures(config)]
    return CheckReport(config=str(path), ok=not problems, exit_code=code, problems=tuple(problems), warnings=tuple(open_))


def check_config(config: DeviceConfig) -> list[Problem]:
    """What a configuration names that is not there or cannot be used, in the order of the file."""
    problems: list[Problem] = []
    bundle = _attempt(problems, "bundle", lambda: _whole_bundle(config))
    if bundle is not None:
        for model in _attempt(problems, "model", lambda: models.find_models(config, bundle)) or ():
            if config.model.candidate != AUTO:
                _attempt(problems, "candidate", partial(_named_candidate, model, config.model.candidate))
            problems += _place_problems(config, model)
            if not problems:
                _attempt(problems, "bundle", partial(models.refuse_failed, config, bundle, model))
    _attempt(problems, "config", lambda: check_affinity(config.model.affinity))
    _attempt(problems, "source", lambda: open_camera(config.camera, Clock()))
    problems += _file_problems(config.camera, "camera")
    for index, sink in enumerate(config.sink):
        problems += _file_problems(sink, f"sink[{index}]")
    problems += _unwritable("state", "state.dir", state_directory(config), directory=True)
    if config.pictures is not None and config.pictures.dir is not None:
        problems += _unwritable("pictures", "pictures.dir", pictures_directory(config), directory=True)
    return problems


def checked(config: DeviceConfig) -> DeviceConfig:
    """``config`` itself. Raises ConfigError with every problem that ``check_config`` finds in it."""
    problems = check_config(config)
    if problems:
        fix = "; ".join(problem.fix for problem in problems if problem.fix)
        raise ConfigError("; ".join(problem.message for problem in problems), fix=fix or None)
    return config


def unwritable_reason(path: Path, *, directory: bool, access: Callable[[Path, int], bool] = os.access) -> str | None:
    """Why ``path`` could not be written by this process, or None; nothing is created to find out.

    Args:
        path: a file, or a directory if ``directory``; it and its parents may be missing, as the service makes them.
        directory: which of the two ``path`` shall be.
        access: os.access, or what answers for another user.
    """
    try:
        if path.exists():
            if path.is_dir() != directory:
                return "is a file, not a directory" if directory else "is a directory, not a file"
            needed = os.W_OK | (os.X_OK if directory else 0)
            return None if access(path, needed) else "no permission to write there"
        parent = nearest_existing(path)
    except OSError as error:
        return error.strerror or str(error)
    if not parent.is_dir():
        return f"{parent} is a file, not a directory"
    return None if access(parent, os.W_OK | os.X_OK) else f"does not exist, and there is no permission to make it in {parent}"


def nearest_existing(path: Path) -> Path:
    """``path``, or the nearest directory above it that is there; one that may not be looked into counts as not there."""
    for place in (path.absolute(), *path.absolute().parents):
        try:
            if place.exists():
                return place
        except PermissionError:
            continue
    return Path("/")


def _all_faults(path: Path) -> list[ShelfcamError]:
    """Every fault of a file that ``load_config`` refused, where it can be taken apart at all."""
    try:
        return strict.faults(strict.load_toml(path), DeviceConfig, path, ConfigError)
    except (OSError, ValueError):  # load_config has told this already
        return []


def _whole_bundle(config: DeviceConfig) -> Bundle:
    bundle = models.find_bundle(config)
    bundle.verify()
    return bundle


def _named_candidate(model: Model, name: str) -> object:
    return models.find_candidate(model, name)


def _place_problems(config: DeviceConfig, model: Model) -> Iterator[Problem]:
    """Of the provider and the delegate; whether they work is only known when they are tried (``shelfcam doctor``)."""
    found: list[Problem] = []
    _attempt(found, "model", lambda: refuse_missing(models.wanted(config), model))
    yield from found
    delegate = config.model.delegate
    if delegate is not None and "/" in delegate and not _readable(Path(delegate)):
        error = InputMissingError(f"model.delegate: {delegate}: cannot be read", fix="name another, or none")
        yield _problem("model", error)


def _file_problems(table: msgspec.Struct, key: str) -> Iterator[Problem]:
    """By the names of the keys, so that a new kind of sink or source is checked as well: ``path`` is written, ``*_file`` is read."""
    for name in table.__struct_fields__:
        value = getattr(table, name)
        if name == "path" and isinstance(value, str) and value != "-":
            yield from _unwritable("sink", f"{key}.path", Path(value), directory=False)
        elif name.endswith("_file") and isinstance(value, str) and not _readable(Path(value)):
            error = InputMissingError(f"{key}.{name}: {value}: cannot be read", fix="make it readable for the service's user")
            yield _problem("secret", error)
        elif name in SECRET_FILES and isinstance(value, str):
            found: list[Problem] = []
            _attempt(found, "secret", partial(read_secret, value, f"{key}.{name}"))
            yield from found
        elif isinstance(value, msgspec.Struct):
            yield from _file_problems(value, f"{key}.{name}")


def _readable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.R_OK)


def _unwritable(area: str, key: str, path: Path, *, directory: bool) -> list[Problem]:
    reason = unwritable_reason(path, directory=directory)
    if reason is None:
        return []
    return [_problem(area, SinkError(f"{key}: {path}: {reason}", fix="name another, or let the service's user write there"))]


def _attempt(problems: list[Problem], area: str, step: Callable[[], T]) -> T | None:
    """The step's result, or None and one more problem."""
    try:
        return step()
    except ShelfcamError as error:
        problems.append(_problem(area, error))
        return None


def _warning(one: Exposure) -> Problem:
    return Problem(area="secret", message=safe_text(one.message), fix=safe_text(one.fix), exit_code=int(ExitCode.OK))


def _problem(area: str, error: ShelfcamError) -> Problem:
    return Problem(area=area, message=str(error), fix=error.fix, exit_code=int(error.exit_code))
