"""Where and what is published for an event: MQTT topics and payloads. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

import msgspec

from edge import __version__
from edge.data import ShelfEvent

ONLINE, OFFLINE = b"online", b"offline"
"""Payloads of the status topic; Home Assistant's defaults for availability."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One publication."""

    topic: str
    payload: bytes
    retain: bool


class RetainedSlot(msgspec.Struct, frozen=True, kw_only=True):
    """Retained for each slot: what is in it as far as is known.

    ``label`` null: nothing; or, with ``type`` "unknown", nobody can say, and ``reason`` says why (``edge.data.SlotReport``). ``id`` and
    ``type``: of the event that said so; ``type`` null: a status event did (a view that is clear again).
    """

    label: str | None
    type: str | None
    reason: str | None = None
    score: float | None
    id: str
    captured_utc: datetime
    flags: tuple[str, ...]


class Topics:
    """The topics of one camera under ``prefix``::

        PREFIX/CAMERA/status               online or offline, retained; the last will says offline
        PREFIX/CAMERA/events/KIND/SLOT     every event with a slot (KIND: observation, event)
        PREFIX/CAMERA/events/status        events of the service itself
        PREFIX/CAMERA/state/SLOT           SlotState, retained, when the label changes, at every ``event``, and at every status event
                                           that reports on the slot

    In SLOT every character but letters, digits and ``_.-~`` is percent-encoded.

    Args:
        prefix: topic prefix.
        camera: its name.
        homeassistant_prefix: announce each slot as a sensor under this prefix
            (https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery); None: do not.
    """

    def __init__(self, prefix: str, camera: str, homeassistant_prefix: str | None) -> None:
        self._root = f"{prefix}/{camera}"
        self._camera = camera
        self._homeassistant = homeassistant_prefix
        self.status = f"{self._root}/status"

    def of(self, event: ShelfEvent, known: dict[str, str | None]) -> Iterator[Publication]:
        """Everything to publish for an event, in order; ``known`` (slot → label published last) is brought up to date."""
        where = "status" if event.slot is None else f"{event.kind}/{quote(event.slot, safe='')}"
        yield Publication(f"{self._root}/events/{where}", msgspec.json.encode(event), retain=False)
        if event.slot is None or event.kind == "status":
            yield from self._told_by_status(event, known)
            return
        label, score = _seen(event)
        if event.kind == "event" or event.slot not in known or known[event.slot] != label:
            state = RetainedSlot(
                label=label, type=event.type, score=score, id=event.id, captured_utc=event.captured_utc, flags=event.flags
            )
            yield from self._retained(event.slot, state, known)

    def _told_by_status(self, event: ShelfEvent, known: dict[str, str | None]) -> Iterator[Publication]:
        for report in event.slots:
            state = RetainedSlot(
                label=report.label,
                type="unknown" if report.holds == "unknown" else None,
                reason=report.reason,
                score=None,
                id=event.id,
                captured_utc=event.captured_utc,
                flags=(*event.flags, "misplaced") if report.misplaced else event.flags,
            )
            yield from self._retained(report.name, state, known)

    def _retained(self, slot: str, state: RetainedSlot, known: dict[str, str | None]) -> Iterator[Publication]:
        if slot not in known and self._homeassistant is not None:
            yield self._announcement(slot, self._homeassistant)
        known[slot] = state.label
        yield Publication(self._state(slot), msgspec.json.encode(state), retain=True)

    def _state(self, slot: str) -> str:
        return f"{self._root}/state/{quote(slot, safe='')}"

    def _announcement(self, slot: str, prefix: str) -> Publication:
        """The retained discovery message of a slot's sensor."""
        name = f"shelfcam_{self._camera}_{slot}"
        sensor = {
            "name": slot,
            "unique_id": name,
            "state_topic": self._state(slot),
            "value_template": "{{ value_json.label or ('unknown' if value_json.type == 'unknown' else 'empty') }}",
            "json_attributes_topic": self._state(slot),
            "availability_topic": self.status,
            "device": {"identifiers": [f"shelfcam_{self._camera}"], "name": self._camera, "manufacturer": "shelfcam"},
            "origin": {"name": "shelfcam", "sw_version": __version__},
        }
        object_id = re.sub(r"[^A-Za-z0-9_-]", "_", name)
        return Publication(f"{prefix}/sensor/{object_id}/config", msgspec.json.encode(sensor), retain=True)


def _seen(event: ShelfEvent) -> tuple[str | None, float | None]:
    """(Label, score) of what is in the slot now."""
    best = event.top[0] if event.top else None
    if event.kind == "event":
        return event.after, next((score.score for score in event.top if score.label == event.after), None)
    return (best.label, best.score) if best else (None, None)
