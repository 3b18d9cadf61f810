"""The registry of sources, each imported only when it is chosen, and what a user writes to choose one."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

from edge.clock import Clock
from edge.config import PATH_KINDS
from edge.errors import ConfigError, DataError, InputMissingError
from edge.sources.base import Source, SourceLimits
from edge.sources.options import MAX_FPS, MAX_SIDE_PX, Option, parse_options, rate_or_zero, size_hw_px, whole
from edge.sources.shown import show_source

__all__ = ["SOURCES", "open_source", "show_source"]

SOURCES = {
    "image": "edge.sources.files:ImageFile",
    "directory": "edge.sources.files:ImageDirectory",
    "video": "edge.sources.video:VideoFile",
    "synthetic": "edge.sources.synthetic:SyntheticCamera",
    "picamera2": "edge.sources.picamera:Picamera2Camera.from_uri",
    "gstreamer": "edge.sources.gstreamer:GStreamerCamera.from_uri",
    "v4l2": "edge.sources.v4l2:V4l2Camera.from_uri",
    "rtsp": "edge.sources.stream:RtspCamera.from_uri",
    "rtsps": "edge.sources.stream:RtspCamera.from_uri",
    "http": "edge.sources.mjpeg:HttpCamera.from_uri",
    "https": "edge.sources.mjpeg:HttpCamera.from_uri",
}
"""Kind of source → ``module:what makes it``."""

_KIND = re.compile(r"(?P<kind>[A-Za-z][A-Za-z0-9+.-]*):(?P<rest>.*)", re.DOTALL)


def open_source(uri: str, *, timeout_ms: int, limits: SourceLimits | None = None, clock: Clock | None = None) -> Source:
    """The source that ``uri`` names, not yet opened: enter it.

    Args:
        uri: a path to a picture, a directory of pictures or a video (told apart by suffix; ``image:PATH``, ``directory:PATH``
            and ``video:PATH`` say it outright); ``synthetic:`` with any of its options, as in
            ``synthetic:fps=10,seed=3,size=640x480,frames=100``; or a camera: ``v4l2:0``, ``picamera2:0``,
            ``gstreamer:PIPELINE``, ``rtsp://…``, ``rtsps://…``, ``http://…`` or ``https://…``, whose classes say the options.
        timeout_ms: a live source makes a NoFrame tick after this long without a frame.
        limits: what else a camera waits for and how large a picture may be, the defaults if None; its own ``timeout_ms`` is not
            looked at.
        clock: stamps the frames; the real one by default.

    Raises:
        ConfigError: an unknown kind of source or option, or a value out of range.
        InputMissingError: a path that does not exist.
        DataError: a file whose suffix is neither a picture's nor a video's.
    """
    clock, limits = clock or Clock(), limits or SourceLimits()
    match = _KIND.fullmatch(uri)
    if _exists(Path(uri)):  # wins over a scheme: its name may hold a colon
        return _open_path(_kind_of(uri), uri, limits, clock)
    if match is None:
        raise _missing(uri)
    kind, rest = match["kind"].lower(), match["rest"]
    if kind not in SOURCES:
        raise _unknown_kind(uri, kind)
    if kind == "synthetic":
        return _synthetic(parse_options(rest, _SYNTHETIC, uri), uri)(timeout_ms=timeout_ms, clock=clock)
    if kind in PATH_KINDS:
        return _open_path(kind, rest, limits, clock)
    return _load(kind)(uri, rest, limits=replace(limits, timeout_ms=timeout_ms), clock=clock)


def _load(kind: str) -> Callable[..., Source]:
    module, _, attribute = SOURCES[kind].partition(":")
    return cast(Callable[..., Source], attrgetter(attribute)(importlib.import_module(module)))


def _synthetic(options: dict[str, Any], uri: str) -> Callable[..., Source]:
    """Raises ConfigError for slots without a rate: nothing would rest long enough to be believed."""
    if options.get("slots") and options.get("fps") == 0:
        raise ConfigError(f"{show_source(uri)}: option 'slots' needs a rate", fix="write fps=10, or leave slots out")
    return partial(_load("synthetic"), **options)


def _open_path(kind: str, path: str, limits: SourceLimits, clock: Clock) -> Source:
    if not path or not _exists(Path(path)):
        raise _missing(path)
    return _load(kind)(Path(path), max_pixels=limits.max_pixels, clock=clock)


def _missing(path: str) -> InputMissingError:
    return InputMissingError(f"{show_source(path) or 'source'}: no such file or directory", fix=f"sources are: {_forms()}")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have: too long, or with a NUL in it
        return False


def _kind_of(path: str) -> str:
    from edge.images import IMAGE_SUFFIXES  # here, for both import OpenCV
    from edge.sources.video import VIDEO_SUFFIXES

    suffix = Path(path).suffix.lower()
    if Path(path).is_dir():
        return "directory"
    if suffix in IMAGE_SUFFIXES:
        return "image"
    if suffix in VIDEO_SUFFIXES:
        return "video"
    known = " ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
    raise DataError(
        f"{show_source(path)}: neither a picture nor a video by its suffix",
        fix=f"known suffixes are {known}; for another write image:{show_source(path)} or video:{show_source(path)}",
    )


def _unknown_kind(uri: str, kind: str) -> ConfigError:
    near = difflib.get_close_matches(kind, SOURCES, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}:? " if near else ""
    return ConfigError(f"{show_source(uri)}: unknown kind of source", fix=f"{hint}sources are: {_forms()}")


def _forms() -> str:
    return f"a path to a picture, a directory or a video; {', '.join(f'{kind}:' for kind in SOURCES)}"


_MIN_SYNTHETIC_PX = 96
_SYNTHETIC: dict[str, Option] = {
    "fps": ("fps", rate_or_zero, f"0 (as fast as the loop) or 0.001 to {MAX_FPS:g}"),
    "seed": ("seed", whole(0), "a whole number"),
    "size": ("size_hw_px", size_hw_px(_MIN_SYNTHETIC_PX), f"WIDTHxHEIGHT in pixels, each {_MIN_SYNTHETIC_PX} to {MAX_SIDE_PX}"),
    "frames": ("frames", whole(1), "a whole number from 1"),
    "silent-after": ("silent_after", whole(0), "a whole number"),
    "slots": ("slots", {"0": False, "1": True}.get, "1 (watch the slots of the drawn shelf) or 0 (observe whole frames)"),
}
