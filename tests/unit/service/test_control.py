"""Requests that come while there is nothing to act on them."""

from __future__ import annotations

import os
import signal

from edge.service.control import Control, reload_on_hangup


class FakeSource:
    stopped = 0

    def stop(self) -> None:
        self.stopped += 1


def test_a_stop_between_two_sources_stops_the_next() -> None:
    control, first, second = Control(), FakeSource(), FakeSource()
    control.attach(first)
    control.stop()
    control.attach(second)
    assert (first.stopped, second.stopped) == (1, 1)


def test_a_reload_is_taken_once_and_not_while_stopping() -> None:
    control = Control()
    assert not control.take_reload()
    control.reload()
    control.reload()
    assert (control.take_reload(), control.take_reload()) == (True, False)
    control.reload()
    control.stop()
    assert not control.take_reload()


def test_the_hangup_signal_asks_and_is_given_back() -> None:
    control, before = Control(), signal.getsignal(signal.SIGHUP)
    with reload_on_hangup(control.reload):
        os.kill(os.getpid(), signal.SIGHUP)
        assert control.take_reload()
    assert signal.getsignal(signal.SIGHUP) is before
