"""A fake of picamera2 0.3.38 for cameras that are not there. Tests import it as ``picamera2``.

Signatures, messages and behaviour are those of the package's picamera2.py, request.py and job.py:

- An event loop of its own thread completes requests and runs the jobs, one after the other: a job behind a capture that gets no
  request waits with it, ``stop()`` too.
- A request that completes keeps its buffer until it is released; when all are held, the camera delivers nothing more. One completed
  request waits in the queue (``queue=True``), and an older one goes back.
- ``capture_request(wait=seconds)`` raises TimeoutError, and its job stays behind and takes the next request for nobody.
- Rows of a buffer are padded to 64 bytes; ``make_array`` gives an owned array without the padding. Of "YUV420" they are padded to 128, as
  on a Pi 5, and ``make_array`` leaves that in: (3·h/2)×stride, where two rows of U, and then of V, of half the stride share a row.
- "RGB888" is B, G, R in memory; "BGR888" is R, G, B. "YUV420" is in the colour space of the configuration, BT.709 by default from
  1280×720 on and BT.601 below; RGB does not depend on it. ``configure`` tells the colour space that libcamera settled on.
- ``lores`` is no larger than ``main``, of the same exposure, and turned as that is; its size is made even.
"""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from tests.fakes.libcamera import ColorSpace, Transform

TimeoutError = concurrent.futures.TimeoutError  # noqa: A001 - picamera2 exports it under this name
CancelledError = concurrent.futures.CancelledError
_ALIGN_BYTES = 64
_ALIGN_YUV_BYTES = 128
_LUMA = {"Rec601": (0.299, 0.114), "Rec709": (0.2126, 0.0722)}  # of red and blue, ITU-R BT.601 and BT.709
_BYTES = {"RGB888": 3, "BGR888": 3, "XBGR8888": 4, "XRGB8888": 4}


@dataclass
class Sensor:
    """The hardware that a test plugs in. ``picture(index, size_hw)`` is H×W×3 RGB as the eye would see it. ``second``: what becomes of a
    second stream: as asked for, "larger" (another size), "other" (another colour space), or "none" (the configuration is refused)."""

    picture: Callable[[int, tuple[int, int]], np.ndarray]
    model: str = "imx708"
    id: str = "/base/axi/pcie@120000/rp1/i2c@88000/imx708@1a"
    period_s: float = 0.01
    largest_wh: tuple[int, int] = (4608, 2592)
    second: str = "asked"
    busy: bool = False
    blocked: threading.Event = field(default_factory=threading.Event)
    cameras: list[Picamera2] = field(default_factory=list)


SENSORS: list[Sensor] = []
_CONTROLS = {
    "AeEnable": (False, True, True),
    "AfMode": (0, 2, 0),
    "AnalogueGain": (1.0, 16.0, 1.0),
    "ColourGains": (0.0, 32.0, 0.0),
    "ExposureTime": (26, 220_000_000, 20_000),
    "FrameDurationLimits": (33_333, 120_000_000, 33_333),
    "LensPosition": (0.0, 32.0, 1.0),
    "NoiseReductionMode": (0, 4, 0),
}


class Job:
    def __init__(self, functions: list[Callable[[], tuple[bool, Any]]], signal_function: Any = None) -> None:
        self._functions = functions
        self._future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._future.set_running_or_notify_cancel()
        self._result: Any = None

    def execute(self) -> bool:
        while self._functions:
            done, result = self._functions[0]()
            if not done:
                return False
            self._functions.pop(0)
            self._result = result
        return True

    def signal(self) -> None:
        if not self._future.done():
            self._future.set_result(self._result)

    def get_result(self, timeout: float | None = None) -> Any:
        return self._future.result(timeout=timeout)

    def cancel(self) -> None:
        self._future.set_exception(CancelledError())


class CompletedRequest:
    def __init__(self, camera: Picamera2, buffers: dict[str, np.ndarray], timestamp_ns: int) -> None:
        self._camera, self._buffers, self._timestamp_ns = camera, buffers, timestamp_ns
        self.config = dict(camera.camera_config)
        self.ref_count = 1

    def release(self) -> None:
        self.ref_count -= 1
        if self.ref_count < 0:
            raise RuntimeError("CompletedRequest: lock now has negative ref_count")
        self._camera._recycle(self._buffers)
        self.config = {}

    def make_array(self, name: str) -> np.ndarray:
        config = self.config.get(name)
        if config is None:
            raise RuntimeError(f"Stream {name!r} is not defined")
        (w, h), buffer = config["size"], self._buffers[name]
        if config["format"] == "YUV420":
            return np.array(buffer.reshape(h * 3 // 2, config["stride"]))
        pixel = _BYTES[config["format"]]
        return np.array(buffer.reshape(h, config["stride"])[:, : w * pixel].reshape(h, w, pixel))

    def get_metadata(self) -> dict[str, Any]:
        return {"SensorTimestamp": self._timestamp_ns, "ExposureTime": 20_000}


class Picamera2:
    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        return [{"Model": s.model, "Location": 2, "Rotation": 180, "Id": s.id, "Num": n} for n, s in enumerate(SENSORS)]

    def __init__(self, camera_num: int = 0, verbose_console: Any = None, tuning: Any = None, allocator: Any = None) -> None:
        self.is_open = False
        if camera_num >= len(self.global_camera_info()):
            raise RuntimeError(
                f'No camera number {camera_num} found - use "rpicam-hello --list-cameras" to check connected cameras'
            )
        self._sensor = SENSORS[camera_num]
        if self._sensor.busy:
            cause = RuntimeError("Failed to acquire camera: Device or resource busy")
            raise RuntimeError("Camera __init__ sequence did not complete.") from cause
        self._sensor.busy = True
        self._sensor.cameras.append(self)
        self.is_open, self.started = True, False
        self.camera_config: dict[str, Any] = {}
        self.applied_controls: dict[str, Any] = {}
        self.completed_requests: list[CompletedRequest] = []
        self._free: list[dict[str, np.ndarray]] = []
        self._job_list: list[Job] = []
        self._changed = threading.Condition()
        self._abort = False
        self._prodded = False
        self._frames = 0
        self._thread: threading.Thread | None = None

    @property
    def camera_controls(self) -> dict[str, tuple[Any, Any, Any]]:
        return dict(_CONTROLS)

    def create_video_configuration(
        self,
        main: dict[str, Any] = {},  # noqa: B006 - the real signature
        lores: Any = None,
        raw: Any = {},  # noqa: B006
        transform: Transform = Transform(),  # noqa: B008
        colour_space: Any = None,
        buffer_count: int = 6,
        controls: dict[str, Any] = {},  # noqa: B006
        display: str = "main",
        encode: str = "main",
        queue: bool = True,
        sensor: Any = {},  # noqa: B006
        use_case: str = "video",
    ) -> dict[str, Any]:
        for key in (*main, *(lores or ())):
            if key not in ("format", "size", "stride", "preserve_ar"):
                raise ValueError(f"Bad key {key!r}")
        main = {"format": "XBGR8888", "size": (1280, 720), "preserve_ar": True} | main
        if lores is not None:
            lores = {"format": "YUV420", "size": main["size"], "preserve_ar": False} | lores
            lores["size"] = (lores["size"][0] // 2 * 2, lores["size"][1] // 2 * 2)
        if colour_space is None:
            small = main["size"][0] < 1280 or main["size"][1] < 720
            colour_space = ColorSpace.Smpte170m() if small else ColorSpace.Rec709()
        return {
            "use_case": use_case,
            "transform": transform,
            "colour_space": colour_space,
            "buffer_count": buffer_count,
            "queue": queue,
            "main": main,
            "lores": lores,
            "raw": raw,
            "controls": {"NoiseReductionMode": 1, "FrameDurationLimits": (33333, 33333)} | controls,
            "sensor": sensor,
            "display": display,
            "encode": encode,
        }

    def configure(self, camera_config: Any = None) -> None:
        if self.started:
            raise RuntimeError("Camera must be stopped before configuring")
        config = {**camera_config, "main": dict(camera_config["main"])}
        (w, h), (most_w, most_h) = config["main"]["size"], self._sensor.largest_wh
        if w % 2 or h % 2:
            raise RuntimeError("width and height should be even")
        config["main"]["size"] = (w, h) = (min(w, most_w), min(h, most_h))  # what libcamera calls "adjusted"
        row = w * _BYTES[config["main"]["format"]]
        config["main"]["stride"] = stride = -(-row // _ALIGN_BYTES) * _ALIGN_BYTES
        sizes = {"main": stride * h}
        if config["lores"] is not None:
            config["lores"] = self._second(dict(config["lores"]), config)
            sizes["lores"] = config["lores"]["stride"] * config["lores"]["size"][1] * 3 // 2
        for name in config["controls"]:
            if name not in _CONTROLS:
                raise RuntimeError(f"Control {name} is not advertised by libcamera")
        self.applied_controls = config["controls"]
        self._free = [
            {name: np.full(size, 0xAA, np.uint8) for name, size in sizes.items()} for _ in range(config["buffer_count"])
        ]
        self.camera_config = config

    def _second(self, lores: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(config["colour_space"], ColorSpace):
            raise RuntimeError("Colour space has incorrect type")
        (w, h), (main_w, main_h) = lores["size"], config["main"]["size"]
        if w > main_w or h > main_h:
            raise RuntimeError("lores stream dimensions may not exceed main stream")
        if lores["format"] != "YUV420":
            raise NotImplementedError("this fake has no other format for lores")
        if self._sensor.second == "none":
            raise RuntimeError("Camera configuration failed")
        if self._sensor.second == "larger":
            lores["size"] = (w, h) = (w + 2, h + 2)
        if self._sensor.second == "other":
            config["colour_space"] = ColorSpace.Rec709()
        return lores | {"stride": -(-w // _ALIGN_YUV_BYTES) * _ALIGN_YUV_BYTES}

    def camera_configuration(self) -> dict[str, Any]:
        return self.camera_config

    def start(self, config: Any = None, show_preview: Any = False) -> None:
        if not self.camera_config:
            raise RuntimeError("Camera has not been configured")
        self.started = True
        self._thread = threading.Thread(target=self._event_loop, name="picamera2-loop", daemon=True)
        self._thread.start()

    def capture_request(self, wait: Any = None, signal_function: Any = None, flush: Any = None) -> Any:
        return self._dispatch([self._capture_request], wait, signal_function)

    def wait(self, job: Job, timeout: float | None = None) -> Any:
        return job.get_result(timeout=timeout)

    def cancel_all_and_flush(self) -> None:
        with self._changed:
            for job in self._job_list:
                job.cancel()
            self._job_list = []

    def stop(self) -> None:
        if self.started:
            self._dispatch([self._stop], True, immediate=True)

    def close(self) -> None:
        if not self.is_open:
            return
        with self._changed:
            self._abort = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        self.started = self.is_open = False
        self._sensor.busy = False

    def _dispatch(self, functions: list[Any], wait: Any, signal_function: Any = None, immediate: bool = False) -> Any:
        if wait is None:
            wait = signal_function is None
        with self._changed:
            job = Job(functions, signal_function)
            only = not self._job_list
            self._job_list.append(job)
            if only and (self.completed_requests or immediate):
                self._prodded = True
                self._changed.notify_all()
        return job.get_result(timeout=None if wait is True else wait) if wait else job

    def _capture_request(self) -> tuple[bool, Any]:
        if not self.completed_requests:
            return False, None
        return True, self.completed_requests.pop(0)

    def _stop(self) -> tuple[bool, None]:
        self.started = False
        while self.completed_requests:
            self.completed_requests.pop(0).release()
        return True, None

    def _recycle(self, buffers: dict[str, np.ndarray]) -> None:
        with self._changed:
            self._free.append(buffers)

    def _event_loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._abort or self._prodded, self._sensor.period_s)
                if self._abort:
                    return
                if not self._prodded:
                    self._expose()
                self._prodded = False
                finished = []
                while self._job_list and self._job_list[0].execute():
                    finished.append(self._job_list.pop(0))
                while len(self.completed_requests) > (1 if self.camera_config["queue"] else 0):
                    self.completed_requests.pop(0).release()
            for job in finished:
                job.signal()

    def _expose(self) -> None:
        if not self.started or self._sensor.blocked.is_set() or not self._free:
            return
        main = self.camera_config["main"]
        (w, h), stride = main["size"], main["stride"]
        seen = self._sensor.picture(self._frames, (h, w))
        self._frames += 1
        if self.camera_config["transform"].hflip:
            seen = seen[:, ::-1]
        if self.camera_config["transform"].vflip:
            seen = seen[::-1]
        buffers = self._free.pop(0)
        memory = seen if main["format"] == "BGR888" else seen[..., ::-1]
        buffers["main"].reshape(h, stride)[:, : w * 3] = memory.reshape(h, w * 3)
        lores = self.camera_config["lores"]
        if lores is not None:
            small = cv2.resize(np.ascontiguousarray(seen), lores["size"], interpolation=cv2.INTER_AREA)
            write_yuv420(small, buffers["lores"], lores["stride"], self.camera_config["colour_space"])
        taken_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 5_000_000
        self.completed_requests.append(CompletedRequest(self, buffers, taken_ns))


def write_yuv420(rgb: np.ndarray, buffer: np.ndarray, stride: int, space: ColorSpace) -> None:
    """Planes Y, U and V one after the other; U and V have half the size and half the stride. The padding stays as it is."""
    h, w = rgb.shape[:2]
    red, blue = _LUMA[space.ycbcrEncoding]
    r, g, b = np.moveaxis(rgb.astype(np.float64), 2, 0)
    luma = red * r + (1 - red - blue) * g + blue * b
    full = space.full_range
    y = luma if full else 16 + luma * 219 / 255
    planes = [y]
    for colour, weight in ((b, blue), (r, red)):
        chroma = (colour - luma) / (2 * (1 - weight)) * (1 if full else 224 / 255) + 128
        planes.append(chroma.reshape(h // 2, 2, w // 2, 2).mean(axis=(1, 3)))
    start = 0
    for plane, row in zip(planes, (stride, stride // 2, stride // 2), strict=True):
        rows, columns = plane.shape
        part = buffer[start : start + rows * row].reshape(rows, row)
        part[:, :columns] = np.clip(np.rint(plane), 0, 255).astype(np.uint8)
        start += rows * row
