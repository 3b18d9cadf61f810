"""Any GStreamer pipeline as a camera, through Debian's python3-gi and an appsink."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.clock import Clock
from edge.data import U8Image
from edge.errors import ConfigError, SourceError
from edge.sources.base import SourceLimits
from edge.sources.gst_presets import preset_pipeline
from edge.sources.live import LiveSource, Shot
from edge.sources.shown import show_source

_RGB = "video/x-raw,format=RGB"
_TAIL = f"! videoconvert ! {_RGB} ! appsink name=shelfcam"
_STATE_S = 0.1


class GStreamerCamera(LiveSource):
    """``gstreamer:PIPELINE`` (as for ``gst-launch-1.0``), or ``gstreamer:preset=jetson`` and ``gstreamer:preset=pi`` with options.

    What the pipeline ends in becomes RGB; one that has an appsink of its own keeps it. The pipeline's end (EOS) is a SourceError: a
    camera does not end. Frames are taken as they come, without waiting for their presentation time. A pipeline is the site's own word: it
    runs as it is written, with whatever its elements open, and none of the walls around network cameras stands around it.

    Args:
        pipeline: the elements, without the appsink.
        shown: what messages call the camera.
        limits: how long to wait for what.
        clock: stamps the frames.
    """

    def __init__(self, pipeline: str, *, shown: str, limits: SourceLimits, clock: Clock | None = None) -> None:
        super().__init__(shown, limits=limits, clock=clock)
        self._text = pipeline if "appsink" in pipeline.split() else f"{pipeline} {_TAIL}"
        self._gst: Any = None
        self._pipeline: Any = None
        self._sink: Any = None

    @classmethod
    def from_uri(cls, uri: str, rest: str, *, limits: SourceLimits, clock: Clock) -> GStreamerCamera:
        """What ``--source`` names. Raises ConfigError."""
        text = rest.strip()
        if not text:
            raise ConfigError(
                "gstreamer: has no pipeline", fix="gstreamer:v4l2src device=/dev/video0, or gstreamer:preset=jetson"
            )
        pipeline = preset_pipeline(text, uri) if text.startswith("preset=") else text
        return cls(pipeline, shown=show_source(uri), limits=limits, clock=clock)

    def _open(self) -> None:
        self._gst = gst = _import_gst()
        try:
            self._pipeline = gst.parse_launch(self._text)
        except gst.glib_error as error:
            raise SourceError(f"{self.shown}: {error.message}", fix=_advice(error.message)) from error
        self._sink = self._find_sink()
        self._sink.set_property("max-buffers", 1)
        self._sink.set_property("drop", True)
        self._sink.set_property("sync", False)
        self._sink.set_property("caps", gst.Gst.Caps.from_string(_RGB))
        self._pipeline.set_state(gst.Gst.State.PLAYING)
        while not self._slot.ended:
            self._raise_fault()
            change, _, _ = self._pipeline.get_state(int(_STATE_S * gst.Gst.SECOND))
            if change == gst.Gst.StateChangeReturn.FAILURE:
                self._raise_fault()
                raise SourceError(f"{self.shown}: the pipeline cannot be started")
            if change != gst.Gst.StateChangeReturn.ASYNC:
                return

    def _read(self, wait_s: float) -> Shot | None:
        sample = self._sink.try_pull_sample(int(wait_s * self._gst.Gst.SECOND))
        if sample is None:
            self._raise_fault()
            return None
        return Shot(_pixels(sample, self._gst.Gst, self.shown))

    def _close(self) -> None:
        if self._pipeline is not None:
            self._pipeline.set_state(self._gst.Gst.State.NULL)
            self._pipeline = self._sink = None

    def _find_sink(self) -> Any:
        sink = self._pipeline if isinstance(self._pipeline, self._gst.GstApp.AppSink) else None
        if sink is None and isinstance(self._pipeline, self._gst.Gst.Bin):
            sink = next((e for e in _elements(self._pipeline, self._gst.Gst) if isinstance(e, self._gst.GstApp.AppSink)), None)
        if sink is None:
            raise SourceError(f"{self.shown}: no appsink in the pipeline", fix="leave the end of the pipeline open")
        return sink

    def _raise_fault(self) -> None:
        """Raises SourceError if the pipeline has said that it failed or ended."""
        message_type = self._gst.Gst.MessageType
        message = self._pipeline.get_bus().pop_filtered(message_type.ERROR | message_type.EOS)
        if message is None:
            return
        if message.type == message_type.EOS:
            raise SourceError(f"{self.shown}: the pipeline ended")
        error, debug = message.parse_error()
        where = f" ({debug.strip().splitlines()[-1]})" if debug else ""
        raise SourceError(f"{self.shown}: {message.src.get_name()}: {error.message}{where}")


class _Bindings:
    """The modules of GStreamer's Python bindings, and the error that they raise."""

    def __init__(self, gst: Any, gst_app: Any, glib_error: Any) -> None:
        self.Gst, self.GstApp, self.glib_error = gst, gst_app, glib_error
        self.parse_launch = gst.parse_launch


def _import_gst() -> _Bindings:
    try:
        import gi

        gi.require_version("Gst", "1.0")
        gi.require_version("GstApp", "1.0")
        from gi.repository import GLib, Gst, GstApp
    except (ImportError, ValueError) as error:  # ValueError: the bindings are there, but not those of GStreamer
        raise SourceError(
            f"gstreamer sources need GStreamer's Python bindings: {error}",
            fix="apt install python3-gi gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good, "
            "and make the virtual environment with the system's python3 and --system-site-packages",
        ) from error
    Gst.init(None)
    return _Bindings(Gst, GstApp, GLib.Error)


def _advice(message: str) -> str:
    if "nvarguscamerasrc" in message:
        return "JetPack brings this element: apt install nvidia-l4t-gstreamer"
    if "libcamerasrc" in message:
        return "apt install gstreamer1.0-libcamera"
    return "try the pipeline with gst-launch-1.0 … ! fakesink; a missing element comes with one of the gstreamer1.0-plugins-* packages"


def _elements(bin_: Any, gst: Any) -> list[Any]:
    found: list[Any] = []
    walk = bin_.iterate_recurse()
    while True:
        result, element = walk.next()
        if result != gst.IteratorResult.OK:
            return found
        found.append(element)


def _pixels(sample: Any, gst: Any, shown: str) -> U8Image:
    """An owned copy of the sample's RGB pixels, without the bytes that pad each row to a multiple of four (GstVideo's layout)."""
    caps = sample.get_caps().get_structure(0)
    w, h = caps.get_value("width"), caps.get_value("height")
    stride = (3 * w + 3) // 4 * 4
    buffer = sample.get_buffer()
    mapped, info = buffer.map(gst.MapFlags.READ)
    if not mapped:
        raise SourceError(
            f"{shown}: a frame cannot be read from its memory", fix="end the pipeline in raw video in main memory"
        )
    try:
        flat = np.frombuffer(info.data, np.uint8)
        if flat.size < stride * (h - 1) + 3 * w:
            raise SourceError(f"{shown}: delivers {flat.size} bytes instead of {w}×{h} RGB pixels")
        rows = np.lib.stride_tricks.as_strided(flat, (h, w, 3), (stride, 3, 1), writeable=False)
        return np.array(rows, order="C")
    finally:
        buffer.unmap(info)
