"""The whole examination, in the order in which a person would look."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from edge.check import Problem, check
from edge.clock import Clock
from edge.config import DeviceConfig, StateConfig, default_config, load_config, state_directory
from edge.doctor import access, host, inference, network, shelf, unit
from edge.doctor.line import Line, fail, ok, warn
from edge.errors import ExitCode
from edge.sources import show_source

SERVICE_STATE = Path("/var/lib/shelfcam")


def examine(config_path: Path | None) -> Iterator[Line]:
    """Every line about this machine, and about the camera of ``config_path`` where one is given.

    Nothing is written; a bundle that was never tried here is tried in a confined process.
    """
    yield host.board()
    yield host.system()
    yield host.python()
    yield host.sandbox()
    yield host.thermal()
    yield host.clock(Clock().synced())
    user = access.current_user() if config_path is None else access.service_user()
    yield from access.devices(user)
    yield access.video_group(user)
    yield from inference.runtimes()
    if config_path is None:
        yield from _camera(default_config(), user)
        return
    report = check(config_path)
    yield from [failed(problem) for problem in report.problems]
    if not any(problem.area == "config" for problem in report.problems):  # otherwise it says nothing more
        yield from [ok("config", f"{config_path}: ok")] if report.ok else []
        told = {problem.message for problem in report.problems}
        yield from (warn(one.area, one.message, one.fix or "") for one in report.warnings)
        yield from (line for line in _camera(as_service(load_config(config_path)), user) if line.found not in told)
    yield unit.unit(config_path)


def failed(problem: Problem) -> Line:
    """A problem of the configuration as a line."""
    return fail(problem.area, problem.message, problem.fix, ExitCode(problem.exit_code))


def as_service(config: DeviceConfig, installed: Path = SERVICE_STATE) -> DeviceConfig:
    """The config as the service has it: its state is where systemd puts it, unless the config says otherwise."""
    if config.state.dir is not None or not installed.is_dir():
        return config
    return msgspec.structs.replace(config, state=StateConfig(dir=str(installed)))


def _camera(config: DeviceConfig, user: access.User) -> Iterator[Line]:
    """What the configuration decides."""
    yield ok("source", show_source(config.camera.source))
    yield host.rate(config.thermal)
    yield from shelf.slots(config)
    yield from inference.candidates(config)
    yield access.state(user, state_directory(config))
    yield from access.damaged_outboxes(state_directory(config))
    yield host.disk("disk", state_directory(config))
    yield from shelf.pictures(config, user)
    for sink in config.sink:
        path = getattr(sink, "path", "-")
        if path != "-":
            yield host.disk("disk", Path(path))
    yield from network.brokers(config.sink)
