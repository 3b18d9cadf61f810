"""The MQTT sink against a real mosquitto: retained state, last will, TLS with client certificates, refusals, lost connections."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("paho.mqtt.client")

from edge.data import SlotReport
from edge.errors import ConfigError
from edge.scene.script import Action, Script
from edge.scene.scripted import ScriptedShelf
from edge.sink_config import MqttConfig
from edge.sinks.base import DeliveryError, RefusedError, SinkSite
from edge.sinks.mqtt import Mqtt
from tests.conftest import ROOT
from tests.fakes.events import make_event
from tests.fakes.patience import patience_s, wait_until
from tests.fakes.receivers import Broker, make_certificates, subscribed
from tests.fakes.scripted_shelf import COLUMNS, FULL, NAMES, ROWS, SIZE_HW_PX, SPRITES, play, script_of, shelf_of

SITE = SinkSite("cam", durable=True)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path) as running:
        yield running


def config_of(broker: Broker, **more) -> MqttConfig:
    return MqttConfig(**{"host": "127.0.0.1", "port": broker.port, "timeout_ms": 60_000, **more})


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_a_connection_that_is_over_leaves_neither_thread_nor_descriptor(broker: Broker) -> None:
    def held() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    first = Mqtt(config_of(broker), SITE)
    first.write([make_event(1)])  # what is imported and opened once stays
    first.close()
    without, sink = held(), Mqtt(config_of(broker), SITE)
    for number in range(3):
        assert sink.write([make_event(number)]) == 1
        broker.stop()
        with pytest.raises(DeliveryError):
            sink.write([make_event(number)])
        with pytest.raises(DeliveryError, match="cannot connect"):
            sink.write([make_event(number)])
        broker.start()
        assert held() == without
    sink.write([make_event(9)])
    sink.close()
    assert held() == without


def test_topics_states_and_availability(broker: Broker) -> None:
    with subscribed(broker) as early:
        sink = Mqtt(config_of(broker, topic_prefix="shop/7"), SITE)
        events = [
            make_event(1, "observation", slot="top/left", label="milk"),
            make_event(2, "observation", slot="top/left", label="milk"),
            make_event(3, "observation", slot="top/left", label="bread"),
            make_event(4, "event", slot="b", label="tea"),
            make_event(5, "status"),
        ]
        assert sink.write(events) == 5
        wait_until(lambda: len(early.ids()) == 5)
        topics = [message.topic for message in early.messages]
        assert topics == [
            "shop/7/cam/status",
            "shop/7/cam/events/observation/top%2Fleft",
            "shop/7/cam/state/top%2Fleft",
            "shop/7/cam/events/observation/top%2Fleft",
            "shop/7/cam/events/observation/top%2Fleft",
            "shop/7/cam/state/top%2Fleft",
            "shop/7/cam/events/event/b",
            "shop/7/cam/state/b",
            "shop/7/cam/events/status",
        ], "a state is said when its label changes, events always"
        with subscribed(broker) as late:
            wait_until(lambda: late.last("shop/7/cam/state/b"))
            wait_until(lambda: late.last("shop/7/cam/state/top%2Fleft"))
            state = json.loads(late.last("shop/7/cam/state/top%2Fleft"))
            assert (state["label"], state["score"], state["id"]) == ("bread", 0.75, events[2].id)
            assert late.last("shop/7/cam/status") == b"online"
            assert late.ids() == [], "events are not retained"
            sink.close()
            wait_until(lambda: late.last("shop/7/cam/status") == b"offline")


def test_the_retained_states_are_unknown_while_the_view_is_bad_also_to_a_broker_that_is_new(broker: Broker) -> None:
    def view(number: int, flag: str, *slots: SlotReport):
        return msgspec.structs.replace(make_event(number, "status"), type="view", flags=(flag,), slots=slots)

    def retained(slot: str) -> tuple | None:
        with subscribed(broker) as late:
            wait_until(lambda: late.last(f"shelfcam/cam/state/{slot}"))
            state = json.loads(late.last(f"shelfcam/cam/state/{slot}"))
            return state["label"], state["type"], state["flags"]

    hidden = [SlotReport(name=name, holds="unknown", reason="covered") for name in ("A1", "A2")]
    with closing(Mqtt(config_of(broker), SITE)) as sink:
        assert sink.write([make_event(1, slot="A1"), view(2, "covered", *hidden)]) == 2
        assert retained("A1") == retained("A2") == (None, "unknown", ["covered"])
    with closing(Mqtt(config_of(broker), SITE)) as sink:  # after a restart it knows of no slot
        assert (
            sink.write(
                [view(3, "clear", SlotReport(name="A1", holds="product", label="milk"), SlotReport(name="A2", holds="empty"))]
            )
            == 1
        )
        assert retained("A1") == ("milk", None, ["clear"])
        assert retained("A2") == (None, None, ["clear"])


def test_a_covered_shelf_through_the_loop_and_a_restart_to_its_retained_states(broker: Broker) -> None:
    """The camera is covered, restarted behind the cover, something is taken, and the cover goes."""
    script = script_of(Action(3.0, "cover", last_s=6.0), Action(7.0, "take", NAMES[1]), end_s=12)
    scene = ScriptedShelf(script, SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    first, second = shelf_of(scene), shelf_of(scene)
    early = play(Script(script.start, script.actions, 6.0), watched=first)
    second.shelf.restore(first.shelf.snapshot(), same_model=True)
    late = play(script, watched=second, from_s=6.0)
    with subscribed(broker) as subscriber:
        for told in (early, late):
            with closing(Mqtt(config_of(broker), SITE)) as sink:
                events = [event for _, event in told.events]
                assert sink.write(events) == len(events)
        wait_until(lambda: len([m for m in subscriber.messages if m.topic == "shelfcam/cam/status"]) == 4)
        said: dict[str, list[tuple]] = {}
        for message in subscriber.messages:
            if "/state/" in message.topic:
                state = json.loads(message.payload)
                said.setdefault(message.topic.rpartition("/")[2], []).append((state["label"], state["type"]))
    for name in NAMES:
        known = (FULL[name], None)
        assert said[name] == [known, (None, "unknown"), known, *([(None, "empty")] if name == NAMES[1] else [])]


def test_the_last_will_says_offline_when_the_camera_dies(broker: Broker, tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom edge.sinks.base import SinkSite\nfrom edge.sinks.mqtt import Mqtt\n"
        "from edge.sink_config import MqttConfig\nfrom tests.fakes.events import make_event\n"
        "sink = Mqtt(MqttConfig(host='127.0.0.1', port=int(sys.argv[1])), SinkSite('cam', True))\n"
        "sink.write([make_event(1)])\nos.kill(os.getpid(), 9)\n"
    )
    with subscribed(broker) as subscriber:
        process = subprocess.run([sys.executable, "-c", code, str(broker.port)], cwd=ROOT, check=False)
        assert process.returncode == -signal.SIGKILL
        wait_until(lambda: subscriber.last("shelfcam/cam/status") == b"offline")
        statuses = [m.payload for m in subscriber.messages if m.topic == "shelfcam/cam/status"]
        assert statuses == [b"online", b"offline"]


def test_home_assistant_finds_a_sensor_a_slot(broker: Broker) -> None:
    with subscribed(broker) as subscriber:
        with closing(Mqtt(config_of(broker, homeassistant_prefix="homeassistant"), SITE)) as sink:
            sink.write([make_event(1, slot="top left"), make_event(2, slot="top left")])
            wait_until(lambda: len(subscriber.ids()) == 2)
        found = [m for m in subscriber.messages if m.topic.startswith("homeassistant/")]
        assert [m.topic for m in found] == ["homeassistant/sensor/shelfcam_cam_top_left/config"]
        sensor = json.loads(found[0].payload)
        assert sensor["state_topic"] == "shelfcam/cam/state/top%20left"
        assert sensor["availability_topic"] == "shelfcam/cam/status"
        assert subscriber.last(sensor["state_topic"]) is not None


def test_a_broker_that_was_killed_gets_everything_once_it_is_back(broker: Broker) -> None:
    sink = Mqtt(config_of(broker), SITE)
    with subscribed(broker) as subscriber:
        assert sink.write([make_event(1)]) == 1
        wait_until(subscriber.ids)
    broker.stop()
    with pytest.raises(DeliveryError, match=f"mqtt 127.0.0.1:{broker.port}"):
        sink.write([make_event(2)])
    broker.start()
    with subscribed(broker) as subscriber:
        assert sink.write([make_event(2), make_event(3)]) == 2
        wait_until(lambda: len(subscriber.ids()) == 2)
        assert subscriber.last("shelfcam/cam/state/a1") is not None, "a new broker is told the state again"
    sink.close()


def test_a_broker_that_stands_still_is_told_within_the_timeout_and_the_events_come_again(broker: Broker) -> None:
    sink = Mqtt(config_of(broker), SITE)
    sink.write([make_event(1)])
    sink._timeout_s = 1.0
    broker.pause(signal.SIGSTOP)
    try:
        with pytest.raises(DeliveryError, match="no acknowledgement within 1 s"):
            sink.write([make_event(2)])
    finally:
        broker.pause(signal.SIGCONT)
    sink = Mqtt(config_of(broker), SITE)
    with subscribed(broker) as subscriber, closing(sink):
        sink.write([make_event(2)])
        wait_until(lambda: make_event(2).id in subscriber.ids())


def test_mutual_tls(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    settings = f"cafile {tmp_path}/ca.pem\ncertfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.key\n"
    with Broker(tmp_path, settings + "require_certificate true\nuse_identity_as_username true\n") as broker:
        tls = {"host": "localhost", "tls": True, "ca_file": f"{tmp_path}/ca.pem"}
        mutual = tls | {"cert_file": f"{tmp_path}/client.pem", "key_file": f"{tmp_path}/client.key"}
        context = ssl.create_default_context(cafile=tls["ca_file"])
        context.load_cert_chain(mutual["cert_file"], mutual["key_file"])
        with subscribed(broker, tls=context) as subscriber, closing(Mqtt(config_of(broker, **mutual), SITE)) as sink:
            assert sink.write([make_event(1)]) == 1
            wait_until(lambda: subscriber.ids() == [make_event(1).id])
        for wrong in (tls, mutual | {"ca_file": None}):
            with closing(Mqtt(config_of(broker, **wrong), SITE)) as sink, pytest.raises(DeliveryError):
                sink.write([make_event(2)])


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Broker]:
    """Knows user "cam" with password "open sesame", who may write nothing but status and observations."""
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("mosquitto_passwd is not installed (Debian package mosquitto)")
    subprocess.run([tool, "-c", "-b", str(tmp_path / "users"), "cam", "open sesame"], check=True, capture_output=True)
    (tmp_path / "access").write_text(
        "user cam\ntopic readwrite shelfcam/cam/status\ntopic readwrite shelfcam/cam/events/observation/#\n"
        "topic readwrite shelfcam/cam/state/#\ntopic read #\n"
    )
    with Broker(tmp_path, f"allow_anonymous false\npassword_file {tmp_path}/users\nacl_file {tmp_path}/access\n") as running:
        yield running


def test_an_access_list_that_refuses_is_told_and_nothing_counts_as_delivered(guarded: Broker, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("open sesame\n")
    config = config_of(guarded, username="cam", password_file=str(tmp_path / "password"))
    with subscribed(guarded, username="cam", password="open sesame") as subscriber, closing(Mqtt(config, SITE)) as sink:
        events = [make_event(1, "observation"), make_event(2, "event"), make_event(3, "observation")]
        assert sink.write(events) == 1, "up to the refused one"
        with pytest.raises(RefusedError, match=r"refused shelfcam/cam/events/event/a1: Not authorized") as caught:
            sink.write(events[1:])
        assert caught.value.count == 1
        assert sink.write(events[2:]) == 1
        wait_until(lambda: events[2].id in subscriber.ids())
        assert events[1].id not in subscriber.ids()


def test_a_wrong_password_is_told_without_it(guarded: Broker, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    config = config_of(guarded, username="cam", password_file=str(tmp_path / "password"))
    with closing(Mqtt(config, SITE)) as sink, pytest.raises(DeliveryError, match="Not authorized") as caught:
        sink.write([make_event(1)])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"username": "u", "password_file": "/nonexistent/pw"}, "password_file /nonexistent/pw"),
        ({"tls": True, "ca_file": "/nonexistent/ca.pem"}, "ca_file /nonexistent/ca.pem"),
    ],
)
def test_a_missing_secret_is_a_config_error_at_the_start(more: dict, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Mqtt(MqttConfig(host="localhost", **more), SITE)


def test_a_password_that_is_no_text_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "pw").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is no UTF-8"):
        Mqtt(MqttConfig(host="localhost", username="u", password_file=str(tmp_path / "pw")), SITE)


def test_a_missing_library_is_named_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(ConfigError, match="paho-mqtt") as caught:
        Mqtt(MqttConfig(host="localhost"), SITE)
    assert "paho-mqtt>=2.1" in (caught.value.fix or "")


class Stranger:
    """Says yes to a client of MQTT, and then what it likes."""

    def __init__(self, *says: bytes) -> None:
        self._listener, self._says = socket.create_server(("127.0.0.1", 0)), says
        self.port: int = self._listener.getsockname()[1]
        self.hung_up_on = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client, self._listener:
            client.recv(65_536)
            client.sendall(b"\x20\x03\0\0\0")
            try:
                for said in self._says:
                    client.sendall(said)
                while client.recv(65_536):
                    pass
            except OSError:
                pass
            self.hung_up_on.set()


def published(quality: int, mid: int, size: int) -> bytes:
    """PUBLISH (MQTT 5.0, 3.3) on the topic "a"."""
    body = b"\0\1a" + (mid.to_bytes(2, "big") if quality else b"") + b"\0" + bytes(size)
    length, left = b"", len(body)
    while left or not length:
        left, part = divmod(left, 128)
        length += bytes([part | (128 if left else 0)])
    return bytes([0x30 | quality << 1]) + length + body


@pytest.mark.parametrize(
    "says",
    [[published(0, 0, 20_000_000)], [published(2, mid, 200_000) for mid in range(1, 200)]],
    ids=["a large one", "many that are never released"],
)
def test_a_broker_that_floods_is_hung_up_on(says: list[bytes]) -> None:
    stranger = Stranger(*says)
    sink = Mqtt(MqttConfig(host="127.0.0.1", port=stranger.port, timeout_ms=20_000), SITE)
    tracemalloc.start()
    try:
        with pytest.raises(DeliveryError, match="the connection was lost"):
            sink.write([make_event(1)])
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert stranger.hung_up_on.wait(patience_s())


def test_an_event_that_no_topic_can_hold_stops_no_other(broker: Broker) -> None:
    events = [make_event(1), msgspec.structs.replace(make_event(2), slot="x" * 70_000), make_event(3)]
    with closing(Mqtt(config_of(broker), SITE)) as sink:
        assert sink.write(events) == 1
        with pytest.raises(RefusedError, match="cannot be published") as refused:
            sink.write(events[1:])
        assert refused.value.count == 1
        assert sink.write(events[2:]) == 1
