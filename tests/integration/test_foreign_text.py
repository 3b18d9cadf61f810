"""Every command that shows a bundle, photos or a server's words, with ones that would like to do more than be shown."""

from __future__ import annotations

import csv
import json
import re
import socket
import threading
from pathlib import Path

import cv2
import msgspec
import pytest

from edge.bundle.reader import open_bundle
from edge.cli import main
from edge.files import sha256_of
from edge.sink_config import WebhookConfig
from edge.sinks.base import DeliveryError, RefusedError, SinkSite
from edge.sinks.webhook import Webhook
from tests.fakes import tiny
from tests.fakes.events import make_event

LABELS = ("[/x]", "=HYPERLINK(0) [link=http://x]y[/link] :smile:", "100% {0} {name} %s [bold")
SAID = "[/x] [red]x :smile: %s {0} [link=http://x]"
CLIPBOARD = "\x1b]52;c;ZXZpbA==\x07"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A bundle that is all right but for what it says."""
    place = tiny.write_colour_bundle(tmp_path / "hostile").directory
    (place / "labels.txt").write_text("\n".join(LABELS) + "\n")
    manifest = msgspec.json.decode((place / "manifest.json").read_bytes())
    text = manifest["models"][0]["answers"][0]["labels"]["text"]
    text["bytes"], text["sha256"] = (place / "labels.txt").stat().st_size, sha256_of(place / "labels.txt")
    manifest["models"][0]["candidates"][0]["quality"][0]["runtime"] = SAID
    manifest["provenance"] |= {"created_utc": SAID, "command": SAID, "tools": {SAID: SAID}, "notes": [SAID, SAID]}
    (place / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    open_bundle(place).verify()
    return place


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / f"photos {CLIPBOARD} ["  # with a file's name behind it: [/x]
    folder.mkdir()
    for name, colour in (("=1+1.png", "red"), (f"x]{CLIPBOARD}[red].png", "green"), ("'=2.png", "green"), ("ok.png", "blue")):
        done, encoded = cv2.imencode(".png", tiny.picture(colour, 48, 64)[:, :, ::-1])
        assert done
        (folder / name).write_bytes(encoded.tobytes())
    (folder / "x]broken \x1b[2J\u202e.jpg").write_bytes(b"none")
    return folder


def commands(bundle: Path, photos: Path, place: Path) -> dict[str, list[str]]:
    config = place / "site.toml"
    config.write_text(f'config_version = 1\n[model]\nbundle = "{bundle}"\n[camera]\nsource = "synthetic:fps=0,frames=2"\n')
    (place / "list.csv").write_text('path,label\nok.png,[/x]\n"\'=1+1.png","\'=HYPERLINK(0) [link=http://x]y[/link] :smile:"\n')
    with_bundle = ["--bundle", str(bundle)]
    labelled = ["--images", str(photos), "--list", str(place / "list.csv")]
    return {
        "inspect": ["bundle", "inspect", str(bundle)],
        "verify": ["bundle", "verify", str(bundle)],
        "pack": ["bundle", "pack", str(bundle), "--out", str(place / "[red].zip")],
        "unpack": ["bundle", "unpack", str(place / "[red].zip"), "--out", str(place / "[" / "x] again")],
        "choose": ["choose", *with_bundle],
        "doctor": ["doctor", "--config", str(config)],
        "check": ["check", str(config)],
        "run": ["run", *with_bundle, "--source", str(photos), "--show"],
        "sort": ["sort", *with_bundle, "--images", str(photos), "--out", str(place / "[" / "x] sorted"), "--min-score", "0"],
        "evaluate": ["evaluate", *with_bundle, *labelled],
    }


OURS = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[hl]|\x1b\[2K|\x1b\[1A|\r")  # colours, and what progress bars need


@pytest.mark.parametrize("json_too", [False, True])
@pytest.mark.parametrize("terminal", [False, True])
def test_no_command_obeys_what_it_shows(
    hostile: Path, photos: Path, tmp_path: Path, capfd, monkeypatch, terminal: bool, json_too: bool
) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    for name, words in commands(hostile, photos, tmp_path).items():
        assert main([*words, *(["--json"] if json_too else [])]) == 0, name
        said = capfd.readouterr()
        for text in (said.out, said.err):
            left = OURS.sub("", text)
            assert not [c for c in left if not c.isprintable() and c != "\n"], (name, left)
            assert "😄" not in left
        if json_too and name != "run":
            json.loads(said.out)
        if name == "inspect" and not json_too:
            assert OURS.sub("", said.out).count(SAID) == 4
        if name == "run" and not json_too:
            assert LABELS[0] in OURS.sub("", said.err)


def test_cells_are_no_formulas_and_are_read_back(hostile: Path, photos: Path, tmp_path: Path, capfd) -> None:
    out = tmp_path / "sorted"
    words = ["sort", "--bundle", str(hostile), "--images", str(photos), "--out", str(out), "--min-score", "0"]
    for _ in range(2):
        assert main(words) == 0
    with (out / "sorted.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4, "nothing twice"
    assert {row["label"] for row in rows} == {LABELS[0], f"'{LABELS[1]}", LABELS[2]}
    for row in rows:
        assert not [cell for cell in row.values() if cell[:1] in "=+-@\t\r"]
    assert main(["evaluate", "--bundle", str(hostile), "--images", str(out), "--list", str(out / "sorted.csv"), "--json"]) == 0
    result = json.loads(capfd.readouterr().out.rpartition("\n{")[2].join(["{", ""]))
    assert (result["images"], result["unreadable"], result["candidates"][0]["scores"]["top1"]) == (4, [], 1.0)


def test_a_photo_whose_name_is_no_utf_8_is_sorted_under_another(
    colour_bundle: Path, photos: Path, tmp_path: Path, capfd
) -> None:
    (photos / "ok.png").rename(photos / "sch\udce4n.png")
    out = tmp_path / "out"
    words = ["sort", "--bundle", str(colour_bundle), "--images", str(photos), "--out", str(out), "--min-score", "0"]
    assert main(words) == main([*words, "--json"]) == 0
    assert (out / "blue" / "sch_udce4n.png").is_file()
    said = (out / "sorted.csv").read_text(encoding="utf-8")
    assert "blue/sch_udce4n.png" in said
    assert not [c for c in said if not c.isprintable() and c not in "\r\n"]
    assert len(list(out.rglob("*.png"))) == 4
    assert main(["run", "--bundle", str(colour_bundle), "--source", str(photos), "--show"]) == 0


@pytest.mark.parametrize("status", [400, 500])
def test_what_a_server_says_is_escaped_and_cut(status: int) -> None:
    reason = f"{CLIPBOARD}\x9b2J [/x] " + "x" * 10_000
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(f"HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\n\r\n".encode("latin-1"))

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        config = WebhookConfig(url=f"http://127.0.0.1:{server.getsockname()[1]}/")
        with pytest.raises((DeliveryError, RefusedError)) as caught:
            Webhook(config, SinkSite("shelf-1", durable=False)).write([make_event(1)])
        thread.join()
    said = str(caught.value)
    assert said.isprintable()
    assert r"\x1b]52;c;" in said
    assert r"\x9b2J [/x]" in said
    assert len(said) < 400
