"""``shelfcam run`` as somebody tries it first: no arguments, a real process, the bundle inside the package."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

from tests.fakes.command import shelfcam
from tests.fakes.patience import patience_s

RUN = (sys.executable, "-m", "edge.cli", "run")


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_a_simulated_shelf_is_watched_and_its_events_are_printed() -> None:
    done = shelfcam("run", "--frames", 160)
    first = done.stderr.splitlines()[:2]
    assert "simulated shelf" in first[0]
    assert "shelfcam run --source v4l2:0" in first[1]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(event["simulated"] for event in told)
    changes = [event for event in told if event["kind"] == "event"]
    assert [(event["type"], event["slot"]) for event in changes[:2]] == [("taken", "A1"), ("returned", "A1")]
    assert changes[0]["seq"] < 100, "within ten seconds"
    assert not [event for event in told if event["kind"] == "observation"]


def test_a_second_start_says_nothing_of_what_the_first_left() -> None:
    """The drawn shelf begins anew: its first slot, empty at the end of the first run, is full again without an event."""
    first = [json.loads(line) for line in shelfcam("run", "--frames", 75).stdout.splitlines()]
    assert [event["type"] for event in first if event["kind"] == "event"] == ["taken"]
    second = [json.loads(line) for line in shelfcam("run", "--frames", 30).stdout.splitlines()]
    assert {event["kind"] for event in second} == {"status"}


def run_at_a_terminal(*words: object) -> str:
    """What a run says on standard error while its standard output is a terminal, in which nothing may stand."""
    terminal, side = pty.openpty()
    try:
        done = subprocess.run(
            [*RUN, *map(str, words)],
            stdout=side,
            stderr=subprocess.PIPE,
            text=True,
            timeout=patience_s(),
            check=False,
            env=os.environ,
        )
        os.set_blocking(terminal, False)
        with pytest.raises(BlockingIOError):
            os.read(terminal, 1)
    finally:
        os.close(side)
        os.close(terminal)
    assert done.returncode == 0, done.stderr
    return done.stderr


def shown(said: str) -> list[list[str]]:
    return [line.split()[1:3] for line in said.splitlines() if line.endswith("(simulated)")]


def test_in_a_terminal_it_is_shown_for_people() -> None:
    assert shown(run_at_a_terminal("--frames", 75)) == [["A1", "taken"]]


def test_in_a_terminal_a_config_is_shown_for_people_too_unless_its_events_go_elsewhere(tmp_path: Path) -> None:
    config, log = tmp_path / "site.toml", tmp_path / "events.jsonl"
    config.write_text('config_version = 1\n[state]\ndir = "state"\n')
    assert ["A1", "taken"] in shown(run_at_a_terminal("--config", config, "--frames", 75))
    config.write_text(f'{config.read_text()}[[sink]]\nkind = "jsonl"\npath = "events.jsonl"\n')
    said = run_at_a_terminal("--config", config, "--frames", 75)
    assert f"Events go to jsonl:{log}" in said
    assert shown(said) == []
    assert '"kind":"event"' in log.read_text()
