"""Facts of the site (camera, sinks, state), never of the model. TOML, ``config_version = 1``, parsed strictly."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edge import strict
from edge.data import WantedProvider
from edge.errors import ConfigError, InputMissingError
from edge.picture_size import MAX_MEGAPIXELS
from edge.secret import read_secret
from edge.sink_config import JsonLinesConfig, OutboxConfig, SinkConfig, with_paths
from edge.strict import Name, Positive, Strict

CONFIG_VERSION: Literal[1] = 1
AUTO = "auto"
SIMULATED_SHELF = "synthetic:slots=1,fps=10,seed=164"
"""What is watched where no source is named. With this seed something is taken within 6 s, is back at 12 and something is replaced at 18."""
_PICTURES = "pictures"  # in the state directory
PATH_KINDS = ("image", "directory", "video")
"""Kinds of source whose rest is a path; relative ones are relative to the config."""
MAX_THREADS = 256

OptionText = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f]+\Z", max_length=4096)]
WaitMs = Annotated[int, msgspec.Meta(ge=10, le=600_000)]


class CameraConfig(Strict, frozen=True, kw_only=True):
    """``source``: a path or URI as in ``shelfcam run --source``, or the first line of ``source_file`` where there is a secret in it;
    ``password_file``: the password of the user in it, on one line. ``timeout_ms``: silence after which a tick without a frame comes.
    ``max_megapixels``: a larger picture or frame is not decoded. ``ca_file``: PEM with the authority of an ``https`` or ``rtsps``
    camera's certificate, or that certificate itself, instead of the system's authorities; ``insecure``: any certificate of any name
    will do. The others are those of ``edge.sources.base.SourceLimits``."""

    name: Name = "camera"
    source: str = SIMULATED_SHELF
    source_file: str | None = None
    password_file: str | None = None
    timeout_ms: WaitMs = 1_000
    frozen_ms: Annotated[int, msgspec.Meta(ge=0, le=86_400_000)] = 30_000
    open_timeout_ms: WaitMs = 15_000
    read_timeout_ms: WaitMs = 10_000
    max_megapixels: Annotated[int, msgspec.Meta(ge=1, le=256)] = MAX_MEGAPIXELS
    ca_file: str | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        """Keys that need each other."""
        hidden = self.source_file is not None and self.source == SIMULATED_SHELF  # not read yet
        if (
            (self.ca_file is not None or self.insecure)
            and not hidden
            and not self.source.lower().startswith(("https:", "rtsps:"))
        ):
            raise ValueError(f"{'ca_file' if self.ca_file is not None else 'insecure'} needs an https or rtsps source")
        if self.ca_file is not None and self.insecure:
            raise ValueError("ca_file says whom to trust, insecure = true trusts everybody: leave out one of them")

    def of(self, source: str) -> CameraConfig:
        """The same with another source: the password and the word for a certificate belong to the config's own alone."""
        if source == self.source:
            return self
        return msgspec.structs.replace(self, source=source, source_file=None, password_file=None, ca_file=None, insecure=False)

    def __repr__(self) -> str:
        return f"CameraConfig({self.name})"  # not the source, which may hold a password


class RecoveryConfig(Strict, frozen=True, kw_only=True):
    """What is done about a camera that delivers nothing (``edge.sources.ladder``). ``stall_ms``: without a frame for so long it counts as
    stalled; ``reopens``: tries before the next step; ``daemon``: a unit to ask a restart of, enabled as shelfcam-restart@DAEMON.socket;
    ``reboot_after``: restarts of the service, in a row, after which a reboot is asked for (shelfcam-restart@reboot.socket); null: never."""

    stall_ms: WaitMs = 10_000
    reopens: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5
    daemon: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*\Z")] | None = None
    reboot_after: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None


class ModelConfig(Strict, frozen=True, kw_only=True):
    """Which bundle to run, and how. ``bundle`` null: the one inside the package. ``threads`` 0: the CPUs this process may use,
    at most as many as ``edge.board.boards`` says for the board. ``provider``: where; auto: the fastest place that passes the gate.
    ``delegate``: library of a TFLite delegate, tried beside the CPU, with its options: code and words that the site
    trusts, and that no bundle can name. ``affinity``: the CPUs that the process keeps to;
    empty: all. ``nice``: 1 to 19 leaves others the CPU first; 0 keeps what the process was started with."""

    bundle: str | None = None
    name: str | None = None
    candidate: str = AUTO
    threads: Annotated[int, msgspec.Meta(ge=0, le=MAX_THREADS)] = 0
    top_k: Positive = 5
    provider: WantedProvider = "auto"
    delegate: str | None = None
    delegate_options: Annotated[dict[OptionText, OptionText], msgspec.Meta(max_length=64)] = msgspec.field(default_factory=dict)
    affinity: tuple[Annotated[int, msgspec.Meta(ge=0, le=1023)], ...] = ()
    nice: Annotated[int, msgspec.Meta(ge=-20, le=19)] = 0

    def __post_init__(self) -> None:
        """Keys that need each other."""
        if self.nice < 0:
            raise ValueError("nice below 0 needs a privilege that the service does without; systemctl edit shelfcam@: Nice=")
        if self.provider == "delegate" and self.delegate is None:
            raise ValueError("provider delegate needs delegate, the path of its library")
        if self.delegate is not None and self.provider not in ("auto", "delegate"):
            raise ValueError(f"delegate is not used with provider {self.provider}")
        if self.delegate_options and self.delegate is None:
            raise ValueError("delegate_options need delegate")


Coordinate = Annotated[float, msgspec.Meta(ge=0)]
Point = tuple[Coordinate, Coordinate]


class SlotConfig(Strict, frozen=True, kw_only=True):
    """A place on the shelf: ``box`` is left, top, right, bottom; ``quad`` the corners clockwise from the upper left, for a shelf seen at an
    angle. In pixels, or relative to the frame if no number is above 1. ``expected``: the product that belongs there. ``answers``:
    which of the bundle's answers are asked for; none named: all."""

    name: Name
    box: tuple[Coordinate, Coordinate, Coordinate, Coordinate] | None = None
    quad: tuple[Point, Point, Point, Point] | None = None
    expected: str | None = None
    answers: tuple[Name, ...] = ()

    def __post_init__(self) -> None:
        """One of the two says where it is."""
        if (self.box is None) == (self.quad is None):
            raise ValueError(f"slot {self.name!r} needs either box or quad")

    @property
    def corners(self) -> tuple[Point, ...]:
        """As ``edge.shelf.geometry.place`` takes them."""
        if self.quad is not None:
            return self.quad
        assert self.box is not None  # checked above
        return (self.box[:2], self.box[2:])


class ShelfConfig(Strict, frozen=True, kw_only=True):
    """How slots are watched. ``dwell_ms``: a change must rest so long before it is believed; ``refresh_s``: a slot is looked at that often
    though nothing changed; ``min_score``: below it a product counts as not known; ``empty_label``: a class of the model that means an
    empty slot, for models that have one."""

    dwell_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 800
    refresh_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 600
    min_score: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.05
    empty_label: str | None = None


class StateConfig(Strict, frozen=True, kw_only=True):
    """``dir`` null: systemd's STATE_DIRECTORY, else ``$XDG_STATE_HOME/shelfcam``, else ``~/.local/state/shelfcam``."""

    dir: str | None = None


class MetricsConfig(Strict, frozen=True, kw_only=True):
    """Where /metrics and /healthz are served. ``listen``: HOST:PORT, an IPv6 address in brackets; beyond loopback everybody in the
    network can read it. ``hosts``: names that monitors call this machine by, beside its addresses and localhost; a request that names
    another is refused. ``unhealthy_after_s``: without a frame for so long /healthz says that the camera is not well."""

    listen: Annotated[str, msgspec.Meta(pattern=r"^(\[[0-9A-Fa-f:]+\]|[^\s:\[\]]+):[0-9]{1,5}\Z")] = "127.0.0.1:9090"
    hosts: tuple[Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]+\Z", max_length=253)], ...] = ()
    unhealthy_after_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 30


class PicturesConfig(Strict, frozen=True, kw_only=True):
    """Pictures of a slot before and after an event. ``max_mb``: of all of this camera's, in 1,000,000 bytes; the oldest go first.
    ``max_age_days``: older ones go. ``max_side_px``: larger crops are made so small; ``quality``: of the JPEGs. ``dir`` null: "pictures" in
    the camera's state directory."""

    max_mb: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 64
    max_age_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] = 7
    max_side_px: Annotated[int, msgspec.Meta(ge=16, le=1_024)] = 320
    quality: Annotated[int, msgspec.Meta(ge=1, le=100)] = 85
    dir: str | None = None


class ThermalConfig(Strict, frozen=True, kw_only=True):
    """What is done about a board that gets too hot, for a real camera: fewer frames before it throttles. ``enabled``; ``limit_c``: where
    it is taken to throttle, instead of where its sensors and its maker say."""

    enabled: bool = True
    limit_c: Annotated[float, msgspec.Meta(ge=30, le=120)] | None = None


class DeviceConfig(Strict, frozen=True, kw_only=True):
    """The whole file."""

    config_version: Literal[1]
    camera: CameraConfig = CameraConfig()
    recovery: RecoveryConfig | None = RecoveryConfig()
    model: ModelConfig = ModelConfig()
    shelf: ShelfConfig = ShelfConfig()
    slot: tuple[SlotConfig, ...] = ()
    sink: tuple[SinkConfig, ...] = (JsonLinesConfig(),)
    outbox: OutboxConfig = OutboxConfig()
    state: StateConfig = StateConfig()
    metrics: MetricsConfig | None = None
    pictures: PicturesConfig | None = None
    thermal: ThermalConfig = ThermalConfig()

    def __post_init__(self) -> None:
        """Slots are told apart by name; pictures are of slots."""
        names = [slot.name for slot in self.slot]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"slot {twice!r} is there twice")
        if self.pictures is not None and not self.slot:
            raise ValueError("[pictures] needs slots: they are of slots only")


def default_config() -> DeviceConfig:
    """What runs when no file is given."""
    return DeviceConfig(config_version=CONFIG_VERSION)


def load_config(path: Path) -> DeviceConfig:
    """Read a config; relative paths in it are relative to the file's directory.

    Raises:
        InputMissingError: no such file.
        ConfigError: not TOML, another version, an unknown key (with the nearest allowed one), a wrong type or range; or ``source_file``
            is not what ``edge.secret.read_secret`` takes.
    """
    try:
        data = strict.load_toml(path)
    except OSError as error:
        raise InputMissingError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
    version = data.get("config_version")
    if type(version) is not int:
        raise ConfigError(f"{path}: config_version: missing", fix=f"add the line: config_version = {CONFIG_VERSION}")
    if version != CONFIG_VERSION:
        raise ConfigError(f"{path}: config_version {version} is unknown; this version of shelfcam reads {CONFIG_VERSION}")
    config = strict.convert(data, DeviceConfig, path, ConfigError)
    if config.camera.source_file is not None and config.camera.source != SIMULATED_SHELF:
        raise ConfigError(f"{path}: camera has both source and source_file", fix="leave one of them out")
    try:
        return _resolved(config, path.parent)
    except ValueError as error:  # what source_file holds does not go with other keys
        raise ConfigError(f"{path}: camera: {error}") from None  # the cause may quote it


def state_directory(config: DeviceConfig) -> Path:
    """Where this camera keeps its state: one directory a camera. Not created here."""
    if config.state.dir is not None:
        root = Path(config.state.dir)
    elif os.environ.get("STATE_DIRECTORY"):
        root = Path(os.environ["STATE_DIRECTORY"].split(":")[0])
    else:
        root = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "shelfcam"
    return root / config.camera.name


def pictures_directory(config: DeviceConfig) -> Path:
    """Where this camera's pictures are, if it keeps any. Not created here."""
    named = config.pictures.dir if config.pictures is not None else None
    return state_directory(config) / _PICTURES if named is None else Path(named)


def _resolved(config: DeviceConfig, base: Path) -> DeviceConfig:
    def under(path: str) -> str:
        return str(base / Path(path).expanduser())

    replace = msgspec.structs.replace
    model, state, camera, pictures = config.model, config.state, config.camera, config.pictures
    if camera.source_file is not None:
        camera = replace(camera, source=read_secret(under(camera.source_file), "camera.source_file").reveal())
    kind, colon, path = camera.source.partition(":")
    if colon and kind in PATH_KINDS:
        camera = replace(camera, source=f"{kind}:{under(path)}")
    elif not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", camera.source):
        camera = replace(camera, source=under(camera.source))
    if camera.source_file is not None:
        camera = replace(camera, source_file=under(camera.source_file))
    if camera.password_file is not None:
        camera = replace(camera, password_file=under(camera.password_file))
    if camera.ca_file is not None:
        camera = replace(camera, ca_file=under(camera.ca_file))
    if model.bundle is not None and not model.bundle.startswith("builtin:"):
        model = replace(model, bundle=under(model.bundle))
    if model.delegate is not None and "/" in model.delegate:  # a bare name is looked for by the loader
        model = replace(model, delegate=under(model.delegate))
    if state.dir is not None:
        state = replace(state, dir=under(state.dir))
    if pictures is not None and pictures.dir is not None:
        pictures = replace(pictures, dir=under(pictures.dir))
    sinks = tuple(with_paths(sink, under) for sink in config.sink)
    return replace(config, camera=camera, model=model, state=state, sink=sinks, pictures=pictures)
