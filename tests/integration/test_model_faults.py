"""A model that fails on what it is shown: a real runtime's own error, in a real process, started again as systemd would."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from edge.choice.trial import DEATHS_MAX
from edge.errors import ExitCode
from tests.fakes.live_shelf import LiveShelf
from tests.fakes.patience import patience_s
from tests.fakes.service_process import Service
from tests.fakes.tiny import write_colour_bundle


def changes(service: Service) -> list[tuple[str, str, str | None, str | None]]:
    return [(e["type"], e["slot"], e["before"], e["after"]) for e in service.events() if e["kind"] == "event"]


def dies(service: Service) -> None:
    assert service.process is not None
    assert service.process.wait(patience_s()) == ExitCode.UNAVAILABLE, service.log.read_text()


def test_a_model_that_fails_is_exit_69_and_the_shelf_goes_on_from_what_was_known(service: Service, tmp_path: Path) -> None:
    bundle = write_colour_bundle(tmp_path / "fragile", fragile=True).directory
    shelf = LiveShelf()
    shelf.photograph(tmp_path)
    shelf.put("A", "green")
    with shelf.serve() as server:
        service.write(shelf.site(bundle, server.url))
        service.start()
        service.wait("both slots to be known", lambda: [c[:2] for c in changes(service)] == [("empty", "B")])
        shelf.put("B", "blue")
        service.wait("an event", lambda: len(changes(service)) == 2)
        shelf.put("A", None)
        service.wait("another", lambda: len(changes(service)) == 3)
        told = changes(service)
        assert told[2] == ("taken", "A", "green", None)
        shelf.put("A", "white")  # what the model dies of
        dies(service)
        assert "onnxruntime failed on a batch" in service.log.read_text()
        for _ in range(2):  # it is still there: each start dies of it again, and tells nothing new
            service.start()
            dies(service)
            assert changes(service) == told
        shelf.put("A", "red")
        service.start()
        service.wait("what is there now", lambda: len(changes(service)) == 4)
        assert changes(service)[3] == ("replaced", "A", None, "red"), "from the empty slot that was known before"
        shelf.put("B", None)
        service.wait("the other slot, whose good was known all the time", lambda: len(changes(service)) == 5)
        assert service.stop() == 0
    assert changes(service)[4] in (("taken", "B", "blue", None), ("empty", "B", "blue", None))
    ids = [event["id"] for event in service.events()]
    assert ids == [f"c-{number:012d}" for number in range(1, len(ids) + 1)], "none lost, none twice, none skipped"
    assert [kind for kind in service.types() if kind != "slots"] == ["started", "started", "started", "started", "stopped"]


def test_one_that_fails_again_and_again_makes_place_for_the_last_good_bundle(service: Service, tmp_path: Path) -> None:
    good = write_colour_bundle(tmp_path / "good")
    fragile = write_colour_bundle(tmp_path / "fragile", {"onnx-b": (0, 1, 2)}, fragile=True)
    shelf = LiveShelf()
    shelf.photograph(tmp_path)
    shelf.put("A", "green")
    with shelf.serve() as server:
        service.write(shelf.site(good.directory, server.url))
        service.start()
        service.wait("what is there", lambda: bool(changes(service)))
        assert service.stop() == 0
        shelf.put("A", "white")  # what the other dies of
        service.write(shelf.site(fragile.directory, server.url))
        for _ in range(DEATHS_MAX):
            service.start()
            dies(service)
        service.start()
        service.wait("the last good one", lambda: "bundle_refused" in service.types())
        assert service.stop() == 0
    refusal = next(event for event in service.events() if event["type"] == "bundle_refused")
    assert refusal["flags"][0] == f"runs=colours@{good.sha256[:12]}"
    assert f"died inside it {DEATHS_MAX} times in a row" in refusal["flags"][1]
