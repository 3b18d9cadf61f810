"""The Raspberry Pi's CSI cameras through picamera2 (which needs libcamera's bindings: apt, not pip)."""

from __future__ import annotations

import concurrent.futures
import difflib
import logging
import re
import time
from collections.abc import Mapping
from typing import Any

from edge.clock import Clock
from edge.errors import ConfigError, SourceError
from edge.sources import lores
from edge.sources.base import SourceLimits
from edge.sources.live import LiveSource, Shot
from edge.sources.opencv import bgr_to_rgb
from edge.sources.options import MAX_FPS, MAX_SIDE_PX, Option, parse_options, rate, size_hw_px
from edge.sources.shown import show_source, word

_LOG = logging.getLogger(__name__)

_MIN_SIDE_PX = 64
_BUFFERS = (
    4  # one being exposed, one being processed, one held here, one to spare; picamera2's six take 50 % more of the CMA memory
)
_MAX_AGE_NS = 10_000_000_000  # a sensor time further off than this is no time of this clock


def _lores_size(text: str) -> tuple[int, int] | None:
    return lores.OFF if text == "off" else size_hw_px(2, 2)(text)


OPTIONS: dict[str, Option] = {
    "size": (
        "size_hw_px",
        size_hw_px(_MIN_SIDE_PX, 2),
        f"WIDTHxHEIGHT in pixels, each even and {_MIN_SIDE_PX} to {MAX_SIDE_PX}",
    ),
    "fps": ("fps", rate, f"0.001 to {MAX_FPS:g}"),
    "lores": ("lores_hw_px", _lores_size, "WIDTHxHEIGHT in pixels, each even, or off"),
    "rotate": ("rotate_deg", {"0": 0, "180": 180}.get, "0 or 180 (degrees)"),
}
DEFAULT_SIZE_HW_PX = (720, 1280)


class Picamera2Camera(LiveSource):
    """``picamera2:0`` with options: ``picamera2:0,size=1280x720,fps=15,rotate=180,ExposureTime=8000,AnalogueGain=2``.

    An option that begins with a capital is one of libcamera's controls (appendix C of the picamera2 manual; ``ColourGains=1.8/1.5`` for
    one with several values); one that this camera has not is a ConfigError with the nearest that it has.

    ``RGB888`` is asked for, which is B, G, R in memory, and turned into RGB once. Each request goes back to the camera before the next
    is taken: a camera whose buffers are all held stops. ``captured_mono_ns`` is the sensor's own time of the first row.

    ``Frame.small`` is the camera's second stream, made by its image processor from the same exposure: a quarter of each side, another size
    with ``lores=640x360``, none with ``lores=off``. A camera that has no such stream is read without, and a warning says so.

    Args:
        number: of the camera, in the order of ``Picamera2.global_camera_info()``.
        shown: what messages call it.
        size_hw_px: height and width, even.
        fps: frames a second; None: the 30 of picamera2's video configuration.
        lores_hw_px: height and width of ``Frame.small``; ``lores.OFF``: none; None: ``lores.default_size_hw_px``.
        rotate_deg: 0 or 180, done by the camera.
        controls: libcamera's controls by name.
        limits: how long to wait for what.
        clock: stamps the frames.
    """

    def __init__(
        self,
        number: int,
        *,
        shown: str,
        limits: SourceLimits,
        size_hw_px: tuple[int, int] = DEFAULT_SIZE_HW_PX,
        fps: float | None = None,
        lores_hw_px: tuple[int, int] | None = None,
        rotate_deg: int = 0,
        controls: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(shown, limits=limits, size_hw_px=size_hw_px, clock=clock)
        self._number = number
        self._asked_hw_px = size_hw_px
        self._fps = fps
        self._lores_hw_px = lores.default_size_hw_px(size_hw_px) if lores_hw_px is None else lores_hw_px
        self._rotate_deg = rotate_deg
        self._controls = dict(controls or {})
        self._camera: Any = None
        self._job: Any = None

    @classmethod
    def from_uri(cls, uri: str, rest: str, *, limits: SourceLimits, clock: Clock) -> Picamera2Camera:
        """What ``--source`` names. Raises ConfigError."""
        number, _, text = rest.partition(",")
        if not re.fullmatch("[0-9]{0,2}", number):
            raise ConfigError(f"{show_source(uri)}: {word(number)!r} is no number of a camera", fix="write picamera2:0")
        items = [item.strip() for item in text.split(",") if item.strip()]
        controls = [item for item in items if item[0].isupper()]
        options = parse_options(",".join(item for item in items if not item[0].isupper()), OPTIONS, uri)
        _check_lores(options, uri)
        values = {name: _control_value(item, uri) for item in controls for name in [item.partition("=")[0].strip()]}
        return cls(int(number or 0), shown=show_source(uri), controls=values, limits=limits, clock=clock, **options)

    def _open(self) -> None:
        picamera2, libcamera = _import_picamera2()
        try:
            # libcamera's objects raise RuntimeError for whatever they cannot do: no camera, busy, a refused configuration.
            self._camera = picamera2.Picamera2(self._number)
            self._check_controls(self._camera.camera_controls)
            self._configure(libcamera)
            self._camera.start()
        except (RuntimeError, IndexError) as error:
            raise SourceError(
                f"{self.shown}: {error}{_cause(error)}",
                fix="`shelfcam cameras` and `rpicam-hello --list-cameras` list the cameras; only one process may have one open"
                + ("; lores=off asks for no second stream" if self._lores_hw_px != lores.OFF else ""),
            ) from error

    def _configure(self, libcamera: Any) -> None:
        h, w = self._asked_hw_px
        controls = dict(self._controls)
        if self._fps is not None:
            period_us = round(1e6 / self._fps)
            controls["FrameDurationLimits"] = (period_us, period_us)
        more: dict[str, Any] = {"transform": libcamera.Transform(hflip=1, vflip=1)} if self._rotate_deg else {}
        space = libcamera.ColorSpace.Smpte170m()
        if self._lores_hw_px != lores.OFF:
            more["lores"] = {"format": lores.FORMAT, "size": self._lores_hw_px[::-1]}
            more["colour_space"] = space  # of the YUV stream alone, the only one that OpenCV turns into RGB; RGB stays as it is
        configuration = self._camera.create_video_configuration(
            main={"format": "RGB888", "size": (w, h)}, raw=None, buffer_count=_BUFFERS, controls=controls, **more
        )
        self._camera.configure(configuration)
        got = self._camera.camera_configuration()["main"]
        if (got["format"], tuple(got["size"])) != ("RGB888", (w, h)):
            got_w, got_h = got["size"]
            raise SourceError(
                f"{self.shown}: has not {w}x{h} RGB888; it offers {got_w}x{got_h} {got['format']}",
                fix="choose a size that the camera has, or leave it out",
            )
        if self._lores_hw_px != lores.OFF:
            self._check_lores(space)

    def _check_lores(self, space: Any) -> None:
        """Without a small picture that can be believed the shelf is watched as well: by the whole frame, which takes more time."""
        got, got_space = self._camera.camera_configuration()["lores"], self._camera.camera_configuration()["colour_space"]
        asked = (lores.FORMAT, self._lores_hw_px[::-1], space.primaries)
        if got is None or (got["format"], tuple(got["size"]), getattr(got_space, "primaries", None)) != asked:
            w, h = self._lores_hw_px[::-1]
            _LOG.warning("%s: has no second stream of %dx%d %s in BT.601; going on without", self.shown, w, h, lores.FORMAT)
            self._lores_hw_px = lores.OFF

    def _check_controls(self, known: Mapping[str, Any]) -> None:
        for name in self._controls:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]}? " if near else ""
                raise ConfigError(
                    f"{self.shown}: this camera has no control {word(name)}", fix=f"{hint}it has: {', '.join(sorted(known))}"
                )

    def _read(self, wait_s: float) -> Shot | None:
        # One job until it is done, not capture_request(wait=seconds): a job that was given up would still take the next request, and
        # nobody would release that.
        if self._job is None:
            self._job = self._camera.capture_request(wait=False)
        try:
            request = self._camera.wait(self._job, timeout=wait_s)
        except concurrent.futures.TimeoutError:
            return None
        self._job = None
        try:
            bgr = request.make_array("main")
            yuv = None if self._lores_hw_px == lores.OFF else request.make_array("lores")
            taken_ns = self._mono_ns(request.get_metadata().get("SensorTimestamp"))
        finally:
            request.release()
        small = None if yuv is None else lores.to_rgb(yuv, self._lores_hw_px, self.shown)
        return Shot(bgr_to_rgb(bgr, self.shown), taken_ns, small)

    def _mono_ns(self, boot_ns: int | None) -> int | None:
        """libcamera dates a frame by CLOCK_BOOTTIME, which goes on while the machine sleeps."""
        if boot_ns is None:
            return None
        age_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - boot_ns
        return self._clock.mono_ns() - age_ns if 0 <= age_ns <= _MAX_AGE_NS else None

    def _close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is None:
            return
        # Jobs wait in one queue: without the cancelling, stop() would wait behind the capture of a camera that delivers nothing.
        camera.cancel_all_and_flush()
        camera.stop()
        camera.close()


def _import_picamera2() -> tuple[Any, Any]:
    try:
        import libcamera
        import picamera2
    except ImportError as error:
        raise SourceError(
            f"picamera2 sources need picamera2 and libcamera: {error}",
            fix="apt install --no-install-recommends python3-picamera2 (Raspberry Pi OS), "
            "and make the virtual environment with the system's python3 and --system-site-packages",
        ) from error
    return picamera2, libcamera


def _check_lores(options: Mapping[str, Any], uri: str) -> None:
    """Raises ConfigError for a small picture by which no shelf could be watched."""
    (h, w), small = options.get("size_hw_px", DEFAULT_SIZE_HW_PX), options.get("lores_hw_px", lores.OFF)
    if small != lores.OFF and not lores.fits(small, (h, w)):
        raise ConfigError(
            f"{show_source(uri)}: option 'lores' must have the frame's shape and at least a quarter of its sides, "
            f"not {small[1]}x{small[0]}",
            fix=f"{w // lores.GREY_PX}x{h // lores.GREY_PX}, or off"
            if lores.default_size_hw_px((h, w)) != lores.OFF
            else "off",
        )


def _cause(error: BaseException) -> str:
    return f" ({error.__cause__})" if error.__cause__ is not None else ""


def _control_value(item: str, uri: str) -> Any:
    """``true``, a number, or several with ``/`` between them."""
    name, _, text = (part.strip() for part in item.partition("="))
    values = [_scalar(part) for part in text.split("/")]
    if any(value is None for value in values):
        raise ConfigError(f"{show_source(uri)}: control {word(name)!r} must be a number, true or false")
    return values[0] if len(values) == 1 else tuple(values)


def _scalar(text: str) -> bool | int | float | None:
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?[0-9]{1,9}", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?[0-9]{1,9}\.[0-9]{1,9}", text) else None
