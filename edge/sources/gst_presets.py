"""Pipelines for the camera interfaces that only GStreamer reaches, as text."""

from __future__ import annotations

from edge.errors import ConfigError
from edge.sources.options import MAX_SIDE_PX, Option, one_of, parse_options, size_hw_px, whole
from edge.sources.shown import show_source, word

_MIN_SIDE_PX = 16
_SIZE: Option = (
    "size_hw_px",
    size_hw_px(_MIN_SIDE_PX, 2),
    f"WIDTHxHEIGHT in pixels, each even and {_MIN_SIDE_PX} to {MAX_SIDE_PX}",
)
_FPS: Option = ("fps", whole(1, 240), "a whole number from 1 to 240")

JETSON = "jetson"
PI = "pi"
PRESETS = (JETSON, PI)
_OPTIONS: dict[str, dict[str, Option]] = {
    JETSON: {
        "preset": ("preset", one_of(*PRESETS), " or ".join(PRESETS)),
        "sensor": ("sensor", whole(0, 15), "a whole number from 0 to 15"),
        "size": _SIZE,
        "fps": _FPS,
        "flip": ("flip", whole(0, 7), "0 to 7, nvvidconv's flip-method: 2 turns by 180°"),
    },
    PI: {
        "preset": ("preset", one_of(*PRESETS), " or ".join(PRESETS)),
        "camera": ("camera", lambda text: text if text and not set(text) & set("\"'!") else None, "libcamera's name of it"),
        "size": _SIZE,
        "fps": _FPS,
    },
}


def preset_pipeline(text: str, uri: str) -> str:
    """``preset=jetson,sensor=0,size=1280x720,fps=30,flip=2`` or ``preset=pi,camera=NAME,size=1280x720,fps=30`` as a pipeline.

    Its end delivers raw video in main memory. Sources: NVIDIA's "Accelerated GStreamer" guide for nvarguscamerasrc (NVMM memory,
    NV12; nvvidconv copies it to main memory and flips on the way); libcamera's README for libcamerasrc (NV12).

    Raises:
        ConfigError: an unknown preset or option, or a value out of range.
    """
    name = text.partition(",")[0].partition("=")[2].strip()
    if name not in PRESETS:
        raise ConfigError(f"{show_source(uri)}: unknown preset {word(name)!r}", fix=f"presets are: {', '.join(PRESETS)}")
    chosen = parse_options(text, _OPTIONS[name], uri)
    h, w = chosen.get("size_hw_px", (720, 1280))
    rate = f",framerate={chosen['fps']}/1" if "fps" in chosen else ""
    if name == JETSON:
        return (
            f"nvarguscamerasrc sensor-id={chosen.get('sensor', 0)} "
            f"! video/x-raw(memory:NVMM),format=NV12,width={w},height={h}{rate} "
            f"! nvvidconv flip-method={chosen.get('flip', 0)} ! video/x-raw,format=BGRx"
        )
    camera = f' camera-name="{chosen["camera"]}"' if "camera" in chosen else ""
    return f"libcamerasrc{camera} ! video/x-raw,format=NV12,width={w},height={h}{rate}"
