"""One suite for every sink: what the outbox may rely on. The receivers are real: files, a broker, an HTTP server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from edge.config import default_config
from edge.sink_config import JsonLinesConfig, MqttConfig, SinkConfig, WebhookConfig
from edge.sinks import SINKS, build_sink, sink_key
from edge.sinks.base import DeliveryError, Sink, SinkSite
from edge.site import build_sinks
from tests.fakes.events import make_event
from tests.fakes.patience import wait_until
from tests.fakes.receivers import Broker, HttpReceiver, free_port, subscribed

SITE = SinkSite("cam", durable=True)
EVENTS = [make_event(number, kind) for number, kind in enumerate(("status", "event", "observation", "event") * 3, start=1)]
IDS = [event.id for event in EVENTS]


@dataclass(frozen=True)
class Place:
    """A sink's config, and the ids that its receiver has."""

    config: SinkConfig
    ids: Callable[[], list[str]]


def _jsonl(tmp: Path, _stack: ExitStack) -> Place:
    path = tmp / "new" / "events.jsonl"
    return Place(JsonLinesConfig(path=str(path)), lambda: [json.loads(line)["id"] for line in path.read_text().splitlines()])


def _mqtt(tmp: Path, stack: ExitStack) -> Place:
    broker = stack.enter_context(Broker(tmp))
    subscriber = stack.enter_context(subscribed(broker))
    return Place(MqttConfig(host="127.0.0.1", port=broker.port), subscriber.ids)


def _webhook(_tmp: Path, stack: ExitStack) -> Place:
    receiver = stack.enter_context(HttpReceiver())
    return Place(WebhookConfig(url=f"http://127.0.0.1:{receiver.port}/hook"), receiver.ids)


MAKERS: dict[str, Callable[[Path, ExitStack], Place]] = {"jsonl": _jsonl, "mqtt": _mqtt, "webhook": _webhook}

DEAD: dict[str, Callable[[Path], SinkConfig]] = {
    "jsonl": lambda _tmp: JsonLinesConfig(path="/dev/full"),
    "mqtt": lambda _tmp: MqttConfig(host="127.0.0.1", port=free_port()),
    "webhook": lambda _tmp: WebhookConfig(url=f"http://127.0.0.1:{free_port()}/"),
}


@pytest.fixture(params=MAKERS)
def place(request, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        yield MAKERS[request.param](tmp_path, stack)


def write_all(sink: Sink, events=EVENTS) -> None:
    left = list(events)
    while left:
        count = sink.write(left)
        assert 1 <= count <= len(left)
        left = left[count:]


def test_the_suite_covers_every_sink() -> None:
    assert set(MAKERS) == set(DEAD) == set(SINKS)


def test_all_events_arrive_in_order(place: Place) -> None:
    sink = build_sink(place.config, SITE)
    write_all(sink)
    wait_until(lambda: len(place.ids()) >= len(IDS))
    sink.close()
    assert place.ids() == IDS


def test_a_second_sink_goes_on_where_the_first_was_closed(place: Place) -> None:
    for half in (EVENTS[:5], EVENTS[5:]):
        sink = build_sink(place.config, SITE)
        write_all(sink, half)
        sink.close()
    wait_until(lambda: len(place.ids()) >= len(IDS))
    assert place.ids() == IDS


def test_building_connects_nowhere_and_closing_at_once_is_safe(place: Place) -> None:
    build_sink(place.config, SITE).close()


def test_only_local_sinks_take_simulated_events(place: Place) -> None:
    sink = build_sink(place.config, SITE)
    assert sink.takes_simulated == isinstance(place.config, JsonLinesConfig)
    sink.close()


def test_the_label_and_the_key_say_where(place: Place) -> None:
    sink = build_sink(place.config, SITE)
    assert sink.label
    assert sink_key(place.config) == sink_key(
        type(place.config)(**{f: getattr(place.config, f) for f in place.config.__struct_fields__})
    )
    sink.close()


@pytest.mark.parametrize("kind", DEAD)
def test_a_receiver_that_is_not_there_is_told_and_can_be_tried_again(kind: str, tmp_path: Path) -> None:
    sink = build_sink(DEAD[kind](tmp_path), SITE)
    for _ in range(3):
        with pytest.raises(DeliveryError) as caught:
            sink.write(EVENTS)
        assert sink.label in str(caught.value)
    sink.close()


def test_two_sinks_with_one_destination_are_two_to_the_outbox(tmp_path: Path) -> None:
    config = default_config()
    twice = (JsonLinesConfig(path=str(tmp_path / "e.jsonl")),) * 2
    sinks = build_sinks(msgspec.structs.replace(config, sink=twice), durable=True)
    assert len(sinks) == 2
    for sink in sinks.values():
        sink.close()
