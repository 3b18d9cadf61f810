"""docs/how-to/extending.md is walked: what it says to write is written into a copy of the package, and used."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tests.conftest import ROOT
from tests.fakes import tiny
from tests.fakes.patience import patience_s

PAGE = (ROOT / "docs/how-to/extending.md").read_text(encoding="utf-8")
_STEP = re.compile(
    r"\*\*(?P<what>New file|In)\*\* `(?P<path>[^`]+)`(?:, \*\*(?P<how>after|replace)\*\* `(?P<line>[^`]+)`,? \*\*(?:add|by)\*\*)?:"
    r"\n\n```python\n(?P<code>.*?)```",
    re.DOTALL,
)


def walk(section: str, into: Path) -> None:
    """Do what one section says to a copy of ``edge`` in ``into``."""
    shutil.copytree(ROOT / "edge", into / "edge", ignore=shutil.ignore_patterns("__pycache__", "assets"))
    (into / "edge" / "assets").symlink_to(ROOT / "edge" / "assets")
    text = re.search(rf"^## {section}$(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert text is not None
    steps = list(_STEP.finditer(text[1]))
    assert len(steps) == text[1].count("```python"), "every block says where it belongs"
    for step in steps:
        path = into / step["path"]
        if step["what"] == "New file":
            assert not path.exists()
            path.write_text(step["code"], encoding="utf-8")
            continue
        before = path.read_text(encoding="utf-8")
        assert before.count(f"{step['line']}\n") == 1, f"{step['path']} has that line once"
        new = step["code"] if step["how"] == "replace" else f"{step['line']}\n{step['code']}"
        path.write_text(before.replace(f"{step['line']}\n", new), encoding="utf-8")


def shelfcam(copy: Path, *args: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "edge.cli", *map(str, args)],
        env=os.environ | {"PYTHONPATH": str(copy), "XDG_STATE_HOME": str(copy / "state")},
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=patience_s(),
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_source(tmp_path: Path, colour_bundle: Path) -> None:
    walk("A source", tmp_path)
    np.save(tmp_path / "frames.npy", np.stack([tiny.picture(colour, 24, 32) for colour in ("red", "blue")]))
    out = shelfcam(tmp_path, "run", "--bundle", colour_bundle, "--source", "stack:frames.npy", "--events", "-")
    seen = [event for event in map(json.loads, out.splitlines()) if event["kind"] == "observation"]
    assert [event["top"][0]["label"] for event in seen] == ["red", "blue"]


def test_a_backend(tmp_path: Path) -> None:
    walk("A backend", tmp_path)
    bundle = tiny.write_colour_bundle(tmp_path / "bundle")
    manifest = tiny.manifest_dict(bundle)
    manifest["models"][0]["candidates"][0]["requires"]["runtime"] = "reference"
    (bundle.directory / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    chosen = json.loads(shelfcam(tmp_path, "choose", "--bundle", bundle.directory, "--json"))
    assert chosen["candidate"] == "onnx-a"
    assert chosen["rows"][0]["runtime"].startswith("reference ")
    assert chosen["rows"][0]["passes"]


def test_a_task(tmp_path: Path) -> None:
    walk("A task", tmp_path)
    bundle = tiny.write_colour_bundle(tmp_path / "bundle", judged=False)
    manifest = tiny.manifest_dict(bundle)
    manifest["models"][0]["answers"][0]["task"] = "tag"
    (bundle.directory / "manifest.json").write_bytes(msgspec.json.encode(manifest))

    for colour in ("red", "blue"):
        cv2.imwrite(str(tmp_path / f"{colour}.png"), tiny.picture(colour, 24, 32)[:, :, ::-1])
    (tmp_path / "list.csv").write_text("path,label\nred.png,red\nblue.png,green\n")
    result = shelfcam(
        tmp_path, "evaluate", "--bundle", bundle.directory, "--images", tmp_path, "--list", tmp_path / "list.csv", "--json"
    )
    assert json.loads(result)["candidates"][0]["scores"] == {"recall": 0.5}


def test_a_sink(tmp_path: Path) -> None:
    walk("A sink", tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(patience_s())
        code = (
            "import sys\n"
            "from pathlib import Path\n"
            "from edge.config import load_config\n"
            "from edge.sinks import build_sink\n"
            "from edge.sinks.base import SinkSite\n"
            "from tests.fakes.events import make_event\n"
            "(config,) = load_config(Path('site.toml')).sink\n"
            "sink = build_sink(config, SinkSite('cam', True))\n"
            "assert sink.write([make_event(1), make_event(2)]) == 1\n"
            "sink.close()\n"
        )
        port = receiver.getsockname()[1]
        (tmp_path / "site.toml").write_text(f"config_version = 1\n[[sink]]\nkind = 'udp'\nhost = '127.0.0.1'\nport = {port}\n")
        (tmp_path / "tests").symlink_to(ROOT / "tests")
        env = os.environ | {"PYTHONPATH": str(tmp_path)}
        subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, timeout=patience_s(), check=True)
        assert json.loads(receiver.recv(65_536))["id"].endswith("1")


def test_a_command(tmp_path: Path) -> None:
    walk("A command", tmp_path)
    lines = [{"kind": "event", "type": "taken"}, {"kind": "event", "type": "taken"}, {"kind": "observation", "type": None}]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert json.loads(shelfcam(tmp_path, "tally", "events.jsonl", "--json")) == {"event taken": 2, "observation": 1}
    assert "tally" in shelfcam(tmp_path, "--help")
