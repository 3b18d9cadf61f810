"""``shelfcam cameras``: listing, trying and stills."""

from __future__ import annotations

import json
import sys

import cv2
import numpy as np
import pytest

from edge.cameras import still_name, try_source
from edge.cli import main
from edge.errors import SourceError
from edge.images import read_rgb
from edge.secret import show_url
from edge.sources import attached as attached_module
from edge.sources import open_source
from tests.fakes import libcamera as fake_libcamera
from tests.fakes import picamera2 as fake_picamera2
from tests.fakes.mjpeg import MjpegServer


def brightening(index: int, size_hw: tuple[int, int]) -> np.ndarray:
    """As a camera's exposure settles: dark at first."""
    return np.full((*size_hw, 3), (min(200, 20 * index), 0, 0), np.uint8)


@pytest.fixture
def pi(monkeypatch) -> fake_picamera2.Sensor:
    """A Pi with one CSI camera and nothing else."""
    monkeypatch.setitem(sys.modules, "picamera2", fake_picamera2)
    monkeypatch.setitem(sys.modules, "libcamera", fake_libcamera)
    monkeypatch.setattr(attached_module, "v4l2_cameras", lambda sysfs, dev: [])
    sensor = fake_picamera2.Sensor(brightening)
    monkeypatch.setattr(fake_picamera2, "SENSORS", [sensor])
    return sensor


def test_without_still_no_camera_is_opened(pi, capsys):
    assert main(["cameras", "--json"]) == 0
    listing = json.loads(capsys.readouterr().out)
    mine = next(row for row in listing["cameras"] if row["source"] == "picamera2:0")
    assert mine == {"source": "picamera2:0", "name": "imx708", "size_hw_px": None, "still": None, "problem": None}
    assert pi.cameras == []


def test_a_still_shows_the_settled_picture(pi, tmp_path, capsys):
    assert main(["cameras", "--source", "picamera2:0,size=640x480", "--still", str(tmp_path / "stills"), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["cameras"][0]
    assert row["size_hw_px"] == [480, 640]
    picture = read_rgb(tmp_path / "stills" / "picamera2-0-size-640x480.jpg")
    assert picture.shape == (480, 640, 3)
    assert picture[..., 0].mean() > 150
    assert picture[..., 2].mean() < 20


def test_a_camera_that_gives_no_picture_is_in_the_table_and_in_the_exit_code(pi, tmp_path, capsys):
    pi.busy = True
    assert main(["cameras", "--still", str(tmp_path / "stills")]) == 69
    shown = capsys.readouterr()
    assert "picamera2:0" in shown.out
    assert "Device or resource busy" in shown.err
    assert not (tmp_path / "stills").exists()


def test_wrong_options_are_a_wrong_configuration(pi, capsys):
    assert main(["cameras", "--source", "picamera2:0,ExposureTimes=3"]) == 78
    assert "did you mean ExposureTime?" in capsys.readouterr().err


def test_a_network_camera_is_tried_and_its_password_shown_nowhere(tmp_path, capsys):
    with MjpegServer(lambda i: brightening(i, (48, 64)), login="me:hush-hush") as server:
        url = server.url.replace("//", "//me:hush-hush@")
        assert main(["cameras", "--source", url, "--still", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert "64×48" in shown.out
    assert "hush" not in shown.out + shown.err
    files = [path.name for path in tmp_path.iterdir()]
    assert files == [f"{still_name(show_url(url))}.jpg"]


def test_the_password_file_of_the_config_goes_with_its_own_source_only(tmp_path, capsys):
    (tmp_path / "password").write_text("hush-hush\n")
    with MjpegServer(lambda i: brightening(i, (48, 64)), login="me:hush-hush") as server:
        url = server.url.replace("//", "//me@")
        site = tmp_path / "site.toml"
        site.write_text(f'config_version = 1\n[camera]\nsource = "{url}"\npassword_file = "password"\n')
        assert main(["cameras", "--config", str(site), "--source", url]) == 0
        assert main(["cameras", "--config", str(site), "--source", server.url]) == 69
    assert "hush" not in "".join(capsys.readouterr())


def test_a_file_is_a_source_too(tmp_path, capsys):
    assert cv2.imwrite(str(tmp_path / "a.png"), np.zeros((24, 32, 3), np.uint8))
    assert main(["cameras", "--source", str(tmp_path / "a.png")]) == 0
    assert "32×24" in capsys.readouterr().out


def test_a_still_that_cannot_be_written_is_an_output_error(tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert main(["cameras", "--source", "synthetic:fps=0,frames=1", "--still", str(tmp_path / "taken")]) == 74
    assert "taken" in capsys.readouterr().err


def test_a_camera_that_is_open_but_silent_is_given_up(pi):
    pi.blocked.set()
    with pytest.raises(SourceError, match="picamera2:0: is open but delivers no picture"):
        try_source(open_source("picamera2:0", timeout_ms=10), shown="picamera2:0", directory=None)


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        ("v4l2:/dev/video0", "v4l2-dev-video0"),
        ("rtsp://host:554#kgmyms", "rtsp-host-554-kgmyms"),
        ("…", "camera"),
        ("x" * 300, "x" * 100),
    ],
)
def test_a_stills_name_is_a_file_name(shown, name):
    assert still_name(shown) == name
