"""Which cameras are attached: sysfs as the kernel lays it out, and picamera2's list. No real camera is here."""

from __future__ import annotations

import errno
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.sources.attached import Attached, attached, csi_cameras, device_capabilities, parse_capabilities, v4l2_cameras
from tests.fakes import picamera2 as fake_picamera2

CAPTURE, META, M2M, STREAMING = 0x1, 0x00800000, 0x8000, 0x04000000


def plug(sysfs: Path, number: int, name: str) -> None:
    (sysfs / f"video{number}").mkdir(parents=True)
    (sysfs / f"video{number}" / "name").write_text(f"{name}\n")


def test_capture_devices_are_listed_by_number_and_others_left_out(tmp_path):
    sysfs, dev = tmp_path / "sys", tmp_path / "dev"
    plug(sysfs, 10, "HD Pro Webcam C920")
    plug(sysfs, 2, "USB Camera: USB Camera")
    plug(sysfs, 3, "USB Camera: USB Camera")
    plug(sysfs, 11, "some-encoder")
    capabilities = {2: CAPTURE | STREAMING, 3: META | STREAMING, 10: CAPTURE, 11: M2M | STREAMING}
    found = v4l2_cameras(sysfs, dev, lambda device: capabilities[int(device.name.removeprefix("video"))])
    assert found == [
        Attached(source=f"v4l2:{dev}/video2", name="USB Camera: USB Camera"),
        Attached(source=f"v4l2:{dev}/video10", name="HD Pro Webcam C920"),
    ]


def test_a_device_that_may_not_be_opened_is_listed_with_the_reason(tmp_path):
    plug(tmp_path, 0, "Webcam")

    def refuse(device: Path) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    assert v4l2_cameras(tmp_path, Path("/dev"), refuse)[0].problem == "cannot be opened: Permission denied"


def test_the_parts_of_csi_cameras_are_not_listed_and_a_jetsons_are_listed_as_what_can_be_run(tmp_path):
    for number, name in enumerate(("unicam-image", "rp1-cfe-csi2_ch0", "bcm2835-isp-capture0", "pispbe-output")):
        plug(tmp_path, number, name)
    plug(tmp_path, 20, "vi-output, imx219 9-0010")
    plug(tmp_path, 21, "vi-output, imx219 10-0010")
    found = v4l2_cameras(tmp_path, Path("/dev"), lambda _: CAPTURE)
    assert [camera.source for camera in found] == ["gstreamer:preset=jetson,sensor=0", "gstreamer:preset=jetson,sensor=1"]


def test_the_drivers_answer_is_read_as_the_kernel_writes_it(tmp_path):
    # struct v4l2_capability of a UVC camera's metadata node: the hardware captures, this node does not.
    head = struct.pack("=16s32s32sI", b"uvcvideo", b"HD Pro Webcam C920", b"usb-0000:01:00.0-1.2", 0x060600)
    assert parse_capabilities(head + struct.pack("=II", 0x84A00001, 0x04A00000) + bytes(12)) == 0x04A00000
    assert parse_capabilities(head + struct.pack("=II", 0x04000001, 0) + bytes(12)) == 0x04000001
    file = tmp_path / "video0"
    file.touch()
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        device_capabilities(file)


def test_csi_cameras_are_those_of_picamera2_without_the_usb_ones(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", fake_picamera2)
    sensors = [
        fake_picamera2.Sensor(lambda *_: np.zeros(1), model="imx708"),
        fake_picamera2.Sensor(lambda *_: np.zeros(1), model="C920", id="/base/axi/pcie@120000/rp1/usb@200000-2:1.0-046d:082d"),
    ]
    monkeypatch.setattr(fake_picamera2, "SENSORS", sensors)
    assert csi_cameras() == ([Attached(source="picamera2:0", name="imx708")], None)


def test_where_nothing_is_attached_the_list_is_empty_and_says_what_was_not_looked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    found = attached(tmp_path / "none", tmp_path)
    assert found.cameras == ()
    assert "apt install" in found.unavailable["picamera2"]
