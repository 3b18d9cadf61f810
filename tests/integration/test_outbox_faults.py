"""Faults that the outbox is for: a process killed at any moment, a full disk, a broker that is away, a shop's config end to end."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("paho.mqtt.client")

from edge.events import EventFactory
from edge.sink_config import MqttConfig
from edge.sinks import build_sink
from edge.sinks.base import SinkSite
from edge.sinks.committer import OutboxLimits
from edge.sinks.delivery import Backoff
from edge.sinks.outbox import StoredOutbox
from tests.conftest import ROOT
from tests.fakes import tiny
from tests.fakes.disk import fill
from tests.fakes.events import UTC, RecordingSink, lines_of
from tests.fakes.patience import patience_s, wait_until
from tests.fakes.receivers import Broker, HttpReceiver, subscribed

KILLS = 50
QUICK = Backoff(first_s=0.05, longest_s=0.5)


def unique_in_order(ids: list[str]) -> list[str]:
    return list(dict.fromkeys(ids))


def test_kill_9_at_random_moments_loses_nothing_and_invents_nothing(tmp_path: Path) -> None:
    state, out = tmp_path / "state", tmp_path / "events.jsonl"
    state.mkdir()
    command = [sys.executable, "-m", "tests.fakes.committing", str(state), str(out)]
    acknowledged: list[str] = []
    chance = random.Random(5)
    for _ in range(KILLS):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert process.stdout is not None
        snapshot = process.stdout.readline().split()[1]
        assert snapshot == "none" or snapshot >= acknowledged[-1], (
            "the state is of the last commit that was acknowledged, or later"
        )
        for _ in range(chance.randrange(60)):
            acknowledged += process.stdout.readline().split()
        if chance.random() < 0.5:
            threading.Event().wait(chance.random() / 20)  # between two lines, or in the middle of a write
        process.kill()
        rest = process.stdout.read().splitlines()
        process.wait()
        acknowledged += [event_id for line in rest if line.count("cam-") == 2 for event_id in line.split()]
    done = subprocess.run([*command, "3"], capture_output=True, text=True, cwd=ROOT, check=True)
    acknowledged += done.stdout.split()[2:]
    assert len(acknowledged) == len(set(acknowledged)), "no id was used twice"
    assert acknowledged == sorted(acknowledged)
    events = lines_of(out)
    by_id: dict[str, dict] = {}
    for event in events:
        assert by_id.setdefault(event["id"], event) == event, "what comes twice is the same"
    delivered = unique_in_order([event["id"] for event in events])
    assert delivered == sorted(delivered), "in order"
    assert set(acknowledged) <= set(delivered), "nothing is lost"
    with closing(sqlite3.connect(state / "outbox.db")) as db:
        stored = [f"cam-{number:012d}" for (number,) in db.execute("SELECT number FROM event ORDER BY position")]
    assert delivered == stored, "nothing is invented"
    assert stored == [f"cam-{number:012d}" for number in range(1, len(stored) + 1)], "no number is skipped"
    assert len(acknowledged) > 100


def test_a_full_disk_stops_nothing_is_said_and_heals(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = RecordingSink()
    limits = OutboxLimits(window_s=0.02, disk_retry_s=0.05, memory=500)
    with closing(StoredOutbox(small_disk, {"s": sink}, bundle="hash", live=True, limits=limits, backoff=QUICK)) as outbox:
        factory = EventFactory("cam", "b@1", "m/c", outbox.counter)
        outbox.tell_by(lambda type_, flags: factory.status(type_, UTC, flags, simulated=False))

        def commit(count: int) -> list[str]:
            ids = []
            for _ in range(count):
                event = factory.status("changed", UTC, (), simulated=False)
                outbox.commit([event], event.id.encode())
                ids.append(event.id)
            return ids

        before = commit(20)
        wait_until(lambda: sink.ids[:20] == before)
        fill(small_disk / "filler")
        during: list[str] = []
        wait_until(lambda: during.extend(commit(10)) or outbox.status().trouble is not None, "it is noticed")
        during += commit(200)
        assert outbox.status().in_memory >= 200
        assert "full" in (outbox.status().trouble or "")
        (small_disk / "filler").unlink()
        wait_until(lambda: outbox.status().trouble is None, "it heals")
        after = commit(20)
        wait_until(lambda: after[-1] in sink.ids)
        wanted = before + during + after
        assert [event_id for event_id in sink.ids if event_id in set(wanted)] == wanted, (
            "nothing was lost, and the order is kept"
        )
        assert outbox.status().lost == 0
    assert "events wait in memory" in caplog.text
    assert "events are stored again" in caplog.text


def test_a_broker_that_is_away_for_1000_events_gets_them_all_in_order(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    site = SinkSite("cam", durable=True)
    sink = build_sink(MqttConfig(host="127.0.0.1", port=broker.port, timeout_ms=60_000), site)
    limits = replace(OutboxLimits(), drain_s=60.0)
    with closing(StoredOutbox(tmp_path, {"mqtt": sink}, bundle="hash", live=True, limits=limits, backoff=QUICK)) as outbox:
        factory = EventFactory("cam", "b@1", "m/c", outbox.counter)
        ids = []
        for number in range(1_000):
            event = factory.status("changed", UTC, (f"n={number}",), simulated=False)
            outbox.commit([event], None)
            ids.append(event.id)
        wait_until(lambda: outbox.status().sinks[0].failing)
        assert outbox.status().sinks[0].waiting == 1_000
        with broker, subscribed(broker) as subscriber:
            wait_until(lambda: len(subscriber.ids()) >= 1_000)
            wait_until(lambda: outbox.status().sinks[0].waiting == 0)
            assert subscriber.ids() == ids
            outbox_status = outbox.status().sinks[0]
            assert (outbox_status.delivered, outbox_status.failing) == (1_000, None)


def test_a_broker_that_is_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    sink = build_sink(MqttConfig(host="127.0.0.1", port=broker.port, timeout_ms=60_000), SinkSite("cam", durable=True))
    seen: list[str] = []
    with closing(StoredOutbox(tmp_path, {"mqtt": sink}, bundle="hash", live=True, backoff=QUICK)) as outbox:
        factory = EventFactory("cam", "b@1", "m/c", outbox.counter)
        ids: list[str] = []

        def commit_some() -> None:
            for _ in range(50):
                event = factory.status("changed", UTC, (), simulated=False)
                outbox.commit([event], None)
                ids.append(event.id)

        for _ in range(4):
            with broker, subscribed(broker) as subscriber:
                commit_some()
                wait_until(lambda s=subscriber: len(s.ids()) >= 20)
                seen += subscriber.ids()
            commit_some()
        with broker, subscribed(broker) as subscriber:
            wait_until(lambda: outbox.status().sinks[0].waiting == 0)
            wait_until(lambda: ids[-1] in subscriber.ids())
            seen += subscriber.ids()
    # what the broker had acknowledged and the subscriber had not been given died with the broker, so only what came is judged
    assert set(seen) <= set(ids)
    assert unique_in_order(seen) == sorted(set(seen))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for colour in tiny.COLOURS:
        cv2.imwrite(str(folder / f"{colour}.png"), tiny.picture(colour, 48, 64)[:, :, ::-1])
    return folder


def run(config: Path, *more: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", "run", "--config", str(config), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=patience_s(), check=False, env=env, cwd=ROOT)


def site(tmp_path: Path, colour_bundle: Path, source: str, sinks: str) -> Path:
    config = tmp_path / "site.toml"
    config.write_text(
        f'config_version = 1\n[camera]\nname = "shelf-1"\nsource = "{source}"\n[model]\nbundle = "{colour_bundle}"\n'
        f'[state]\ndir = "state"\n[[sink]]\nkind = "jsonl"\npath = "events.jsonl"\n{sinks}'
    )
    return config


def test_a_site_delivers_to_all_its_sinks_and_ends_when_they_have_everything(
    colour_bundle: Path, photos: Path, tmp_path: Path
) -> None:
    with Broker(tmp_path) as broker, subscribed(broker) as subscriber, HttpReceiver() as receiver:
        sinks = (
            f'[[sink]]\nkind = "mqtt"\nhost = "127.0.0.1"\nport = {broker.port}\n'
            f'[[sink]]\nkind = "webhook"\nurl = "http://127.0.0.1:{receiver.port}/"\n'
        )
        done = run(site(tmp_path, colour_bundle, "photos", sinks))
        assert done.returncode == 0, done.stderr
        ids = [event["id"] for event in lines_of(tmp_path / "events.jsonl")]
        assert ids == [f"shelf-1-{number:012d}" for number in range(1, 6)]
        assert receiver.ids() == ids
        wait_until(lambda: len(subscriber.ids()) >= 5)
        assert subscriber.ids() == ids
        assert json.loads(subscriber.last("shelfcam/shelf-1/state/frame"))["label"] == "red"


def test_simulated_events_reach_the_file_only(colour_bundle: Path, tmp_path: Path) -> None:
    with HttpReceiver() as receiver:
        sinks = f'[[sink]]\nkind = "webhook"\nurl = "http://127.0.0.1:{receiver.port}/"\n'
        done = run(site(tmp_path, colour_bundle, "synthetic:fps=50", sinks), "--frames", "5")
        assert done.returncode == 0, done.stderr
        assert len(lines_of(tmp_path / "events.jsonl")) == 7
        assert receiver.requests == []


def test_an_undelivered_file_run_is_exit_74_and_the_next_run_makes_up_for_it(
    colour_bundle: Path, photos: Path, tmp_path: Path
) -> None:
    with HttpReceiver() as receiver:
        receiver.answers = [(503, {})] * 1_000
        config = site(
            tmp_path, colour_bundle, "photos", f'[[sink]]\nkind = "webhook"\nurl = "http://127.0.0.1:{receiver.port}/?k=tok"\n'
        )
        done = run(config)
        assert done.returncode == 74, done.stderr
        assert "5 events are not delivered" in done.stderr
        assert "503" in done.stderr
        assert "tok" not in done.stderr
        receiver.answers = []
        assert run(config).returncode == 0
        assert receiver.ids() == [f"shelf-1-{number:012d}" for number in range(1, 11)]


def test_the_service_itself_killed_at_random_moments(colour_bundle: Path, tmp_path: Path) -> None:
    config = site(tmp_path, colour_bundle, "synthetic:fps=100", "")
    out, chance = tmp_path / "events.jsonl", random.Random(9)
    command = [sys.executable, "-m", "edge.cli", "run", "--config", str(config)]
    for _ in range(4):
        size = out.stat().st_size if out.exists() else 0
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT)
        wait_until(lambda size=size: out.exists() and out.stat().st_size > size + chance.randrange(1, 20_000))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert run(config, "--frames", "3").returncode == 0
    events = lines_of(out)
    by_id: dict[str, dict] = {}
    for event in events:
        assert by_id.setdefault(event["id"], event) == event, "an id is never used for something else"
    delivered = unique_in_order([event["id"] for event in events])
    assert delivered == [f"shelf-1-{number:012d}" for number in range(1, len(delivered) + 1)], "none is lost or skipped"


def test_a_reader_that_stops_reading_stops_neither_the_camera_nor_its_end(colour_bundle: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    config = site(tmp_path, colour_bundle, "synthetic:fps=100", '[[sink]]\nkind = "jsonl"\npath = "pipe"\n')
    command = [sys.executable, "-m", "edge.cli", "run", "--config", str(config), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    out = tmp_path / "events.jsonl"
    wait_until(lambda: out.exists() and out.stat().st_size > 4 * 65_536, "more than a pipe holds")
    process.terminate()
    stdout, stderr = process.communicate(timeout=patience_s())
    os.close(reader)
    assert process.returncode == 0, stderr
    events = lines_of(out)
    assert events[-1]["type"] == "stopped"
    assert len(events) == json.loads(stdout)["frames"] + 2
    assert "the pipe is full and its reader does not read" in stderr
    assert "stay for the next start" in stderr


def test_the_service_itself_on_a_full_disk(colour_bundle: Path, tmp_path: Path, small_disk: Path) -> None:
    config = site(tmp_path, colour_bundle, "synthetic:fps=30", "")
    config.write_text(config.read_text().replace('dir = "state"', f'dir = "{small_disk}"'))
    out, said = tmp_path / "events.jsonl", tmp_path / "said"
    with said.open("wb") as stderr:
        process = subprocess.Popen([sys.executable, "-m", "edge.cli", "run", "--config", str(config)], stderr=stderr, cwd=ROOT)
    wait_until(lambda: len(lines_of(out)) > 20)
    fill(small_disk / "filler")
    wait_until(lambda: "events wait in memory" in said.read_text())
    assert process.poll() is None, "the loop goes on"
    (small_disk / "filler").unlink()
    wait_until(lambda: any(event["type"] == "outbox_writable" for event in lines_of(out)))
    process.terminate()
    assert process.wait(timeout=patience_s()) == 0
    assert "events are stored again" in said.read_text()
    events = lines_of(out)
    types = [event["type"] for event in events if event["kind"] == "status" and event["type"] != "candidate"]
    assert (types[0], types[-1]) == ("started", "stopped")
    assert types[1:-1] == ["outbox_unwritable", "outbox_writable"] * (len(types) // 2 - 1), (
        "in turn, as often as it came to pass"
    )
    numbers = sorted(int(event["id"][-12:]) for event in events)
    assert numbers == list(range(1, len(events) + 1)), "nothing is lost"
