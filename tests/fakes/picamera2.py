"""A fake of picamera2 0.3.38 for cameras that are not there. Tests import it as ``picamera2``.

Signatures, messages and behaviour are those of the package's picamera2.py, request.py and job.py:

- An event loop of its own thread completes requests and runs the jobs, one after the other: a job behind a capture that gets no
  request waits with it, ``stop()`` too.
- A request that completes keeps its buffer until it is released; when all are held, the camera delivers nothing more. One completed
  request waits in the queue (``queue=True``), and an older one goes back.
- ``capture_request(wait=seconds)`` raises TimeoutError, and its job stays behind and takes the next request for nobody.
- Rows of a buffer are padded to 64 bytes; ``make_array`` gives an owned array without the padding.
- "RGB888" is B, G, R in memory; "BGR888" is R, G, B.
"""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.fakes.libcamera import Transform

TimeoutError = concurrent.futures.TimeoutError  # noqa: A001 - picamera2 exports it under this name
CancelledError = concurrent.futures.CancelledError
_ALIGN_BYTES = 64
_BYTES = {"RGB888": 3, "BGR888": 3, "XBGR8888": 4, "XRGB8888": 4}


@dataclass
class Sensor:
    """The hardware that a test plugs in. ``picture(index, size_hw)`` is H×W×3 RGB as the eye would see it."""

    picture: Callable[[int, tuple[int, int]], np.ndarray]
    model: str = "imx708"
    id: str = "/base/axi/pcie@120000/rp1/i2c@88000/imx708@1a"
    period_s: float = 0.01
    largest_wh: tuple[int, int] = (4608, 2592)
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
    def __init__(self, camera: Picamera2, buffer: np.ndarray, timestamp_ns: int) -> None:
        self._camera, self._buffer, self._timestamp_ns = camera, buffer, timestamp_ns
        self.config = dict(camera.camera_config)
        self.ref_count = 1

    def release(self) -> None:
        self.ref_count -= 1
        if self.ref_count < 0:
            raise RuntimeError("CompletedRequest: lock now has negative ref_count")
        self._camera._recycle(self._buffer)
        self.config = {}

    def make_array(self, name: str) -> np.ndarray:
        config = self.config.get(name)
        if config is None:
            raise RuntimeError(f"Stream {name!r} is not defined")
        (w, h), pixel = config["size"], _BYTES[config["format"]]
        return np.array(self._buffer.reshape(h, config["stride"])[:, : w * pixel].reshape(h, w, pixel))

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
        self._free: list[np.ndarray] = []
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
        for key in main:
            if key not in ("format", "size", "stride", "preserve_ar"):
                raise ValueError(f"Bad key {key!r}")
        return {
            "use_case": use_case,
            "transform": transform,
            "colour_space": colour_space,
            "buffer_count": buffer_count,
            "queue": queue,
            "main": {"format": "XBGR8888", "size": (1280, 720), "preserve_ar": True} | main,
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
        for name in config["controls"]:
            if name not in _CONTROLS:
                raise RuntimeError(f"Control {name} is not advertised by libcamera")
        self.applied_controls = config["controls"]
        self._free = [np.full(stride * h, 0xAA, np.uint8) for _ in range(config["buffer_count"])]
        self.camera_config = config

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

    def _recycle(self, buffer: np.ndarray) -> None:
        with self._changed:
            self._free.append(buffer)

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
        buffer = self._free.pop(0)
        memory = seen if main["format"] == "BGR888" else seen[..., ::-1]
        buffer.reshape(h, stride)[:, : w * 3] = memory.reshape(h, w * 3)
        taken_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 5_000_000
        self.completed_requests.append(CompletedRequest(self, buffer, taken_ns))
