"""Secrets of a whole site, looked for wherever the service and its commands leave words."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from edge.cli import main
from edge.config import load_config
from edge.sinks import sink_key
from edge.site import build_sinks
from tests.conftest import ROOT
from tests.fakes import command, tiny
from tests.fakes.receivers import HttpReceiver, free_port

SECRET = "xQ7vT0kEnZ9wLmP4"
PIECES = [SECRET[i : i + 4] for i in range(len(SECRET) - 3)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "red.png"), tiny.picture("red", 48, 64)[:, :, ::-1])
    return folder


def site(place: Path, bundle: Path, tables: str, source: str = "photos") -> Path:
    config = place / "site.toml"
    config.write_text(
        f'config_version = 1\n[camera]\nname = "shelf-1"\nsource = "{source}"\n[model]\nbundle = "{bundle}"\n'
        f'[state]\ndir = "state"\n[[sink]]\nkind = "jsonl"\npath = "events.jsonl"\n{tables}'
    )
    return config


shelfcam = functools.partial(command.shelfcam, expect=None)


def said_and_left(config: Path, *own: Path) -> Iterator[tuple[str, str]]:
    """All that the commands say, and all that lies on the disk beside what the site's owner wrote."""
    for words in (["run"], ["run", "--json"], ["check", "--json"], ["check"], ["doctor"], ["doctor", "--json"]):
        place = [config] if words[0] == "check" else ["--config", config]
        done = shelfcam(*words, *place)
        yield " ".join(words), done.stdout + done.stderr
    for path in config.parent.rglob("*"):
        if path.is_file() and path != config and path not in own:
            yield str(path), path.read_bytes().decode("latin-1") + str(path)


@pytest.mark.parametrize("by_file", [False, True])
@pytest.mark.parametrize("answer", [404, 503])
def test_the_path_of_a_webhook_stays_in(colour_bundle: Path, photos: Path, tmp_path: Path, by_file: bool, answer: int) -> None:
    with HttpReceiver() as receiver:
        receiver.answers = [(answer, {})] * 1_000
        url = f"http://127.0.0.1:{receiver.port}/api/webhook/{SECRET}?token={SECRET}&x=1"
        (tmp_path / "address").write_text(f"{url}\n")
        key = 'url_file = "address"' if by_file else f'url = "{url}"'
        config = site(tmp_path, colour_bundle, f'[[sink]]\nkind = "webhook"\n{key}\n')
        for where, text in said_and_left(config, tmp_path / "address"):
            assert not [piece for piece in PIECES if piece in text], where
        assert receiver.requests[0][0] == url.partition(str(receiver.port))[2]
    loaded = load_config(config)
    (sink,) = [sink for name, sink in build_sinks(loaded, durable=False).items() if name.startswith("webhook")]
    for shown in (sink.label, *map(sink_key, loaded.sink), repr(loaded), f"{loaded}"):
        assert not [piece for piece in PIECES if piece in shown]
    assert f"127.0.0.1:{receiver.port}" in sink.label


@pytest.mark.parametrize(
    "source",
    [
        f"rtsp://127.0.0.1:1/user=admin_password={SECRET}_channel=1.sdp",
        f"rtsp://me:{SECRET}@127.0.0.1:1/{SECRET}",
        f"RTSP://me:{SECRET}@127.0.0.1:1/",
        f"http://127.0.0.1:1/{SECRET}/video?access_token={SECRET}",
        f"http://me:{SECRET}/x@127.0.0.1:1/",
        f"//me:{SECRET}@127.0.0.1/1",
        f"http:me:{SECRET}@127.0.0.1/1",
        f"photos/me:{SECRET}@x",
        f"v4l2:/dev/video99,password={SECRET}",
        f"gstreamer:rtspsrc location=rtsp://me:{SECRET}@127.0.0.1:1/ user-pw={SECRET}",
    ],
)
def test_the_password_of_a_camera_stays_in(colour_bundle: Path, tmp_path: Path, source: str) -> None:
    config = site(tmp_path, colour_bundle, "", source)
    config.write_text(config.read_text() + "\n")
    once = shelfcam("run", "--source", source, "--events", tmp_path / "e.jsonl", "--bundle", colour_bundle)
    texts = [("run", once.stdout + once.stderr)]
    for words in (
        ["check", config],
        ["check", config, "--json"],
        ["doctor", "--config", config, "--json"],
        ["cameras", "--source", source],
    ):
        done = shelfcam(*words)
        assert "Traceback" not in done.stderr
        texts.append((str(words[0]), done.stdout + done.stderr))
    texts += [
        (str(path), path.read_bytes().decode("latin-1")) for path in tmp_path.rglob("*") if path.is_file() and path != config
    ]
    for where, text in texts:
        assert not [piece for piece in PIECES if piece in text], (where, text)


@pytest.mark.parametrize("content", [f"{SECRET}\rX-Evil: 1", f"{SECRET}\x00", "", f"{SECRET}\x1b[2J", "x" * 10_000])
@pytest.mark.parametrize("key", ["token_file", "secret_file", "url_file"])
def test_a_secret_file_that_cannot_be_used_is_exit_78_by_name(
    colour_bundle: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, content: str
) -> None:
    (tmp_path / "secret").write_bytes(content.encode())
    url = "" if key == "url_file" else 'url = "http://127.0.0.1:1/"\n'
    config = str(site(tmp_path, colour_bundle, f'[[sink]]\nkind = "webhook"\n{url}{key} = "secret"\n'))
    for words in (["run", "--config", config], ["check", config]):
        assert main(words) == 78
        said = capsys.readouterr()
        assert f"{key} {tmp_path}/secret: " in said.err
        assert "fix: " in said.err
        assert not [piece for piece in PIECES if piece in said.err + said.out]


def lines(config: Path) -> tuple[dict, list[dict], str]:
    checked = json.loads(shelfcam("check", config, "--json").stdout)
    doctor = json.loads(shelfcam("doctor", "--config", config, "--json").stdout)["lines"]
    return checked, [line for line in doctor if line["area"] == "secret"], shelfcam("check", config).stderr


def test_what_lies_open_is_warned_of_with_the_fix(colour_bundle: Path, photos: Path, tmp_path: Path) -> None:
    for name, mode in (("mqtt", 0o644), ("token", 0o600)):
        (tmp_path / name).write_text(SECRET)
        (tmp_path / name).chmod(mode)
    tables = (
        '[[sink]]\nkind = "mqtt"\nhost = "broker.invalid"\nusername = "me"\npassword_file = "mqtt"\ntimeout_ms = 100\n'
        '[[sink]]\nkind = "webhook"\nurl = "http://hook.invalid/path"\ntoken_file = "token"\ntimeout_ms = 100\n'
    )
    config = site(tmp_path, colour_bundle, tables)
    checked, doctor, shown = lines(config)
    expected = [
        ("sink[1].password_file", "chmod 640"),
        ("sink[1]: the password is sent to broker.invalid without TLS", "tls = true"),
        ("sink[2]: the token and the path of the address are sent to hook.invalid without TLS", "https://"),
    ]
    assert checked["ok"], "a warning stops nothing"
    assert len(checked["warnings"]) == len(doctor) == 3
    ran = shelfcam("run", "--config", config)
    for (message, fix), warning, line in zip(expected, checked["warnings"], doctor, strict=True):
        assert message in warning["message"]
        assert fix in warning["fix"]
        assert (line["status"], line["found"], line["fix"]) == ("warn", warning["message"], warning["fix"])
        assert f"warning: secret: {warning['message']}" in shown
        assert ran.stderr.count(message) == 1
    (tmp_path / "mqtt").chmod(0o640)
    assert len(lines(config)[0]["warnings"]) == 2


@pytest.mark.parametrize(
    ("camera", "warned"),
    [
        ('source = "rtsp://me:pw@cam.invalid/1"', ["holds a password", "without TLS"]),
        ('source = "rtsps://me:pw@cam.invalid/1"', ["holds a password"]),
        ('source = "http://cam.invalid/1?password=pw"', ["holds a password", "without TLS"]),
        ('source = "rtsp://cam/user=admin_password=pw_channel=1"', ["holds a password", "without TLS"]),
        ('source = "gstreamer:rtspsrc location=rtsp://h/ user-pw=x"', ["holds a password"]),
        ('source = "rtsp://me@cam.invalid/1"\npassword_file = "password"', ["without TLS"]),
        ('source = "rtsp://me@127.0.0.1/1"\npassword_file = "password"', []),
        ('source = "rtsp://me@[::1]:554/1"\npassword_file = "password"', []),
        ('source = "rtsps://me@cam.invalid/1"\npassword_file = "password"', []),
        ('source_file = "source"', []),
        ('source = "rtsp://cam.invalid/1"', []),
        ('source = "rtsp://me@[bad/1"\npassword_file = "password"', []),
        ('source = "rtsp://me@cam\u2100/1"\npassword_file = "password"', []),
    ],
)
def test_passwords_of_cameras_that_lie_open(tmp_path: Path, camera: str, warned: list[str]) -> None:
    from edge.exposure import exposures

    for name, content in (("password", "pw"), ("source", f"rtsps://me:{SECRET}@cam.invalid/1")):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    config = tmp_path / "site.toml"
    config.write_text(f"config_version = 1\n[camera]\n{camera}\n")
    found = list(exposures(load_config(config)))
    assert len(found) == len(warned)
    for one, words in zip(found, warned, strict=True):
        assert words in one.message
        assert one.fix


def test_a_whole_source_can_stand_in_a_file(colour_bundle: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "source").write_text(f"http://127.0.0.1:{free_port()}/{SECRET}\n")
    config = site(tmp_path, colour_bundle, "").with_name("other.toml")
    config.write_text(
        'config_version = 1\n[camera]\nsource_file = "source"\n[recovery]\nreboot_after = 1\n[state]\ndir = "state"\n'
    )
    assert load_config(config).camera.source.endswith(SECRET)
    shown = "".join(shelfcam(*words).stdout for words in (["check", config], ["doctor", "--config", config]))
    assert "http://127.0.0.1:" in shown
    assert SECRET not in shown
    config.write_text('config_version = 1\n[camera]\nsource_file = "source"\nsource = "v4l2:0"\n')
    assert main(["check", str(config)]) == 78
    config.write_text('config_version = 1\n[camera]\nsource_file = "none"\n')
    assert main(["check", str(config)]) == 78


def test_an_error_that_nobody_caught_gives_nothing_away() -> None:
    code = (
        "import threading; from edge import console; from edge.secret import Secret; console.log_to_stderr()\n"
        "s = Secret('xQ7vT0kEnZ9wLmP4')\n"
        "def fail(): raise ValueError('\\x1b]52;c;x\\x07 ' + s.reveal())\n"
        "t = threading.Thread(target=fail, name='worker'); t.start(); t.join()\n"
        "fail()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 1
    assert done.stderr.count("ValueError: \\x1b]52;c;x\\x07 ***") == 2
    assert "\x1b" not in done.stderr
    assert SECRET not in done.stderr
