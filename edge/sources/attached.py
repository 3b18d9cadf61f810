"""Which cameras are attached to this machine, without opening any: the running service may have them."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable
from pathlib import Path

import msgspec

SYSFS = Path("/sys/class/video4linux")
DEV = Path("/dev")

# linux/videodev2.h: VIDIOC_QUERYCAP = _IOR('V', 0, struct v4l2_capability), 104 bytes.
_QUERYCAP = 0x80685600
_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_HAS_DEVICE_CAPS = 0x80000000
_CAPTURE = 0x00000001 | 0x00001000  # V4L2_CAP_VIDEO_CAPTURE, and _MPLANE

_JETSON_CSI = "vi-output"  # raw Bayer behind this name; nvarguscamerasrc makes pictures of it
_PI_CSI = ("unicam", "rp1-cfe", "bcm2835-isp", "bcm2835-codec", "pispbe", "rpi-hevc-dec")  # parts of what picamera2 drives


class Attached(msgspec.Struct, frozen=True, kw_only=True):
    """A camera. ``source``: what to write for ``--source``; ``problem``: why it cannot be used as things are, or None."""

    source: str
    name: str
    problem: str | None = None


class Attachments(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. ``unavailable``: kind of camera → why it could not be looked for."""

    cameras: tuple[Attached, ...]
    unavailable: dict[str, str]


def attached(sysfs: Path = SYSFS, dev: Path = DEV) -> Attachments:
    """V4L2 capture devices by their names in sysfs, and the CSI cameras that libcamera knows where picamera2 is installed."""
    csi, reason = csi_cameras()
    return Attachments(cameras=(*v4l2_cameras(sysfs, dev), *csi), unavailable={} if reason is None else {"picamera2": reason})


def v4l2_cameras(sysfs: Path, dev: Path, query: Callable[[Path], int] | None = None) -> list[Attached]:
    """One entry a capture device, in the order of their numbers; encoders, metadata nodes and parts of CSI cameras are left out.

    Args:
        sysfs: ``/sys/class/video4linux``; may be absent.
        dev: ``/dev``.
        query: gives a device file's capabilities or raises OSError; None: asks the driver.
    """
    found: list[Attached] = []
    sensors = 0
    for entry in sorted(sysfs.glob("video*"), key=_number) if sysfs.is_dir() else []:
        name = _first_line(entry / "name") or entry.name
        if name.startswith(_PI_CSI):
            continue
        if name.startswith(_JETSON_CSI):
            found.append(Attached(source=f"gstreamer:preset=jetson,sensor={sensors}", name=name))
            sensors += 1
            continue
        device = dev / entry.name
        try:
            if not (query or device_capabilities)(device) & _CAPTURE:
                continue
            problem = None
        except OSError as error:
            problem = f"cannot be opened: {error.strerror or error}"
        found.append(Attached(source=f"v4l2:{device}", name=name, problem=problem))
    return found


def device_capabilities(device: Path) -> int:
    """The capability bits of this one device file (VIDIOC_QUERYCAP). Raises OSError."""
    handle = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    try:
        return parse_capabilities(fcntl.ioctl(handle, _QUERYCAP, bytes(_CAPABILITY.size)))
    finally:
        os.close(handle)


def parse_capabilities(answer: bytes) -> int:
    """Of a ``struct v4l2_capability``: the bits of the device file where the driver tells them, else of the whole hardware."""
    *_, whole, own = _CAPABILITY.unpack(answer)
    return int(own if whole & _HAS_DEVICE_CAPS else whole)


def csi_cameras() -> tuple[list[Attached], str | None]:
    """The cameras that picamera2 lists, and why it could not be asked, if so. USB cameras are left to V4L2."""
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        return [], f"{error}; on a Pi: apt install --no-install-recommends python3-picamera2"
    try:
        infos = Picamera2.global_camera_info()
    except RuntimeError as error:  # libcamera's answer when it cannot be started
        return [], str(error)
    return [
        Attached(source=f"picamera2:{number}", name=str(info.get("Model", info["Id"])))
        for number, info in enumerate(infos)
        if "/usb" not in info["Id"]
    ], None


def _number(entry: Path) -> tuple[int, str]:
    digits = entry.name.removeprefix("video")
    return (int(digits) if digits.isdecimal() else 1 << 30, entry.name)


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
