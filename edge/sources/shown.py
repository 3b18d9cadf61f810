"""What a source is called in messages, logs, metrics and reports: by allow-list, so that no credential is in it, wherever it stood."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from edge.config import PATH_KINDS
from edge.secret import fingerprint, show_url
from edge.text import remember_secret

_KIND = re.compile(r"(?P<kind>[A-Za-z][A-Za-z0-9+.-]*):(?P<rest>.*)", re.DOTALL)
_PLAIN_PATH = re.compile(r"(?!//)[\w ./~+(),!-]{1,300}")  # nothing that parts an address, and no "name=value"
_OPTIONS = {
    "synthetic": frozenset({"fps", "seed", "size", "frames", "silent-after", "slots"}),
    "v4l2": frozenset({"size", "fps", "fourcc"}),
    "picamera2": frozenset(
        # and the controls of libcamera that people set (appendix C of the picamera2 manual)
        {"size", "fps", "lores", "rotate", "AeEnable", "AeExposureMode", "AeFlickerMode", "AeFlickerPeriod", "AeMeteringMode"}
        | {"AfMode", "AfRange", "AfSpeed", "AnalogueGain", "AwbEnable", "AwbMode", "Brightness", "ColourGains", "Contrast"}
        | {"ExposureTime", "ExposureValue", "FrameDurationLimits", "HdrMode", "LensPosition", "NoiseReductionMode"}
        | {"Saturation", "ScalerCrop", "Sharpness"}
    ),
    "gstreamer": frozenset({"preset", "sensor", "size", "fps", "flip"}),
}
_VALUE = re.compile(
    r"[0-9]{1,5}x[0-9]{1,5}|off|true|false|jetson|pi|MJPG|YUYV|YUY2|NV12|NV21|UYVY|RGB3|BGR3|GREY|H264|HEVC|JPEG"
    r"|-?[0-9]{1,9}(\.[0-9]{1,9})?(/-?[0-9]{1,9}(\.[0-9]{1,9})?){0,3}"
)
# fmt: off
_ELEMENTS = frozenset(
    {
        "appsink", "aspectratiocrop", "autovideosrc", "avdec_h264", "avdec_h265", "capsfilter", "clockoverlay",
        "compositor", "cropdetect", "decodebin", "decodebin3", "deinterlace", "fakesink", "filesrc", "gamma",
        "h264parse", "h265parse", "identity", "imagefreeze", "jpegdec", "jpegparse", "libcamerasrc",
        "libuvch264src", "multifilesrc", "multipartdemux", "nvarguscamerasrc", "nvjpegdec", "nvv4l2camerasrc",
        "nvv4l2decoder", "nvvidconv", "nvvideoconvert", "omxh264dec", "openjpegdec", "queue", "queue2", "rtpbin",
        "rtph264depay", "rtph265depay", "rtpjitterbuffer", "rtpjpegdepay", "rtspsrc", "rtspsrc2", "souphttpsrc",
        "srtsrc", "tcpclientsrc", "tee", "textoverlay", "timeoverlay", "tsdemux", "udpsrc", "uridecodebin",
        "uridecodebin3", "urisourcebin", "v4l2convert", "v4l2h264dec", "v4l2jpegdec", "v4l2src", "valve",
        "videobalance", "videobox", "videoconvert", "videoconvertscale", "videocrop", "videoflip", "videorate",
        "videoscale", "videotestsrc"
    }
)
# fmt: on


def show_source(uri: str) -> str:
    """``uri``, as ``open_source`` takes it, as people may see it.

    An address is shown as by ``show_url``; a path as it is if it exists or looks like nothing but a path; options by known names with
    values of their kind; a GStreamer pipeline by the names of well-known elements. Six letters behind a ``#`` stand for what is left out.
    """
    match = _KIND.fullmatch(uri)
    if match is None or _exists(uri):
        return _path(uri)
    kind, rest = match["kind"].lower(), match["rest"]
    if kind in PATH_KINDS:
        return f"{kind}:{_path(rest)}"
    if kind == "gstreamer" and not rest.strip().startswith("preset="):
        return _pipeline(rest)
    if kind in _OPTIONS:
        return _with_options(kind, rest)
    return show_url(uri)


def word(text: str) -> str:
    """The name of an option as a message may quote it: a short word of small letters, or what is nearly a known name; else ``…``."""
    known = frozenset().union(*_OPTIONS.values())
    return text if re.fullmatch("[a-z-]{1,7}", text) or difflib.get_close_matches(text, known, n=1, cutoff=0.75) else "…"


def _path(text: str) -> str:
    if not text or _PLAIN_PATH.fullmatch(text) or _exists(text):
        return text
    remember_secret(text)
    return f"#{fingerprint(text)}"


def _with_options(kind: str, rest: str) -> str:
    first, *others = rest.split(",")
    items, hidden = [], False
    if "=" in first:
        others.insert(0, first)
    elif first:
        device = _path(first)
        hidden = device.startswith("#")
        items += [] if hidden else [device]
    for item in filter(None, others):
        name, _, value = (part.strip() for part in item.partition("="))
        if name in _OPTIONS[kind] and _VALUE.fullmatch(value):
            items.append(f"{name}={value}")
        else:
            hidden = True
    if hidden:
        _remember(rest)
    return f"{kind}:{','.join(items)}" + (f"#{fingerprint(rest)}" if hidden else "")


def _pipeline(text: str) -> str:
    _remember(text)
    names = [words[0] for part in text.split("!") if (words := part.split()) and words[0] in _ELEMENTS]
    return f"gstreamer:{'!'.join(names)}#{fingerprint(text)}"


def _remember(text: str) -> None:
    """Have what libraries quote of it hidden in their messages: values of properties, and addresses as ``show_url`` does."""
    for value in re.findall(r"=\s*(\"[^\"]*\"|'[^']*'|\S+)", text):
        bare = value.strip("\"'")
        if "://" in bare:
            show_url(bare)
        if not _VALUE.fullmatch(bare) and not bare.startswith("/dev/") and len(bare) >= 8:
            remember_secret(bare)
    remember_secret(text)


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # a name that no file can have: too long, or with a NUL in it
        return False
