"""What a configuration that is read again may change."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import msgspec
import pytest

from edge.choice.measure import CancelledError
from edge.config import DeviceConfig, ModelConfig, default_config
from edge.errors import ConfigError, ShelfcamError
from edge.service.reload import Reading, refuse_fixed
from tests.fakes.patience import patience_s


def test_cpus_and_priority_are_those_of_the_start() -> None:
    def site(**model: object):
        return msgspec.structs.replace(default_config(), model=ModelConfig(**model))

    refuse_fixed(site(affinity=(0, 1)), site(affinity=(1, 0), provider="cpu", threads=2))
    for key, changed in (("affinity", site(affinity=(1,))), ("nice", site(nice=5))):
        with pytest.raises(ConfigError, match=rf"model\.{key} cannot change while the service runs"):
            refuse_fixed(site(), changed)


class Scripted:
    """Reads what the test puts in, when the test lets it; ``polled`` is one look between two ticks."""

    def __init__(self) -> None:
        self.outcomes: list[DeviceConfig | BaseException] = []
        self.go = threading.Semaphore(0)
        self.asked = False
        self.refused: list[ShelfcamError] = []
        self.discarded: list[DeviceConfig] = []
        self.reading = Reading(self._read, self.refused.append, self.discarded.append)

    def _read(self) -> DeviceConfig:
        assert self.go.acquire(timeout=patience_s())
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def polled(self) -> DeviceConfig | None:
        def take() -> bool:
            asked, self.asked = self.asked, False
            return asked

        return self.reading.poll(take)

    def finish(self) -> DeviceConfig | None:
        self.go.release()
        assert self.reading._thread is not None
        self.reading._thread.join(patience_s())
        return self.polled()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    made = Scripted()
    yield made
    made.reading.close()


def test_a_configuration_is_read_beside_the_loop(scripted: Scripted) -> None:
    new = default_config()
    assert scripted.polled() is None
    scripted.asked, scripted.outcomes = True, [new]
    assert scripted.polled() is None
    assert scripted.polled() is None, "the loop goes on while it is read"
    assert scripted.finish() is new
    assert scripted.polled() is None, "once"


def test_one_that_is_wrong_is_refused_in_the_loop(scripted: Scripted) -> None:
    scripted.asked, scripted.outcomes = True, [ConfigError("wrong"), default_config()]
    scripted.polled()
    assert scripted.finish() is None
    assert [str(error) for error in scripted.refused] == ["wrong"]
    scripted.asked = True
    scripted.polled()
    assert scripted.finish() is not None


def test_asked_again_meanwhile_the_older_one_is_not_taken(scripted: Scripted) -> None:
    old, new = default_config(), msgspec.structs.replace(default_config(), model=ModelConfig(threads=1))
    scripted.asked, scripted.outcomes = True, [old, new]
    scripted.polled()
    scripted.asked = True
    assert scripted.finish() is None
    assert scripted.discarded == [old]
    assert scripted.finish() is new
    assert scripted.discarded == [old], "what was taken is the taker's"


def test_what_was_read_when_the_run_ends_is_given_back(scripted: Scripted) -> None:
    new = default_config()
    scripted.asked, scripted.outcomes = True, [new]
    scripted.polled()
    scripted.go.release()
    scripted.reading.close()
    assert scripted.discarded == [new]


def test_a_trial_that_was_stopped_is_no_news_and_a_fault_of_ours_is(scripted: Scripted) -> None:
    scripted.asked, scripted.outcomes = True, [CancelledError(), ZeroDivisionError()]
    scripted.polled()
    assert scripted.finish() is None
    assert not scripted.refused
    scripted.asked = True
    scripted.polled()
    with pytest.raises(ZeroDivisionError):
        scripted.finish()
