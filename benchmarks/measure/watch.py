"""What the board says while something is measured: heat and clock before, after and at their worst; joules."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from benchmarks.measure.energy import EnergyMeter, find_counters, find_vcgencmd, read_powers
from benchmarks.record.host import read_thermal, thermal_change

PERIOD_S = 1.0


class BoardRecorder:
    """A context manager. A thread of its own reads once a second: less than a thousandth of one CPU, but where a Raspberry Pi must be
    asked by vcgencmd, two short processes a second.

    Afterwards ``thermal`` holds ``…_before`` and ``…_after`` of ``benchmarks.record.host.read_thermal``, and the highest ``…_max`` of its
    temperature and of each cause that slows a board down; ``energy_j`` joules by rail; both only what the board tells. ``lost``: rails
    whose readings failed for too long to tell their joules.
    """

    def __init__(self) -> None:
        vcgencmd = find_vcgencmd()
        self._meter = EnergyMeter(find_counters(), lambda: read_powers(vcgencmd=vcgencmd))
        self._over = threading.Event()
        self._error: BaseException | None = None
        self.thermal: dict[str, float] = {}
        self.energy_j: dict[str, float] = {}
        self.lost: frozenset[str] = frozenset()

    def __enter__(self) -> BoardRecorder:
        self._before = read_thermal()
        self._worst: dict[str, float] = {}
        self._keep_worst(self._before)
        self._meter.sample(time.monotonic())
        self._thread = threading.Thread(target=self._go_on, name="watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error
        self._meter.finish(time.monotonic())
        after = read_thermal()
        self._keep_worst(after)
        self.thermal = thermal_change(self._before, after) | self._worst
        self.energy_j, self.lost = dict(self._meter.joules), frozenset(self._meter.lost)

    def _go_on(self) -> None:
        try:
            while not self._over.wait(PERIOD_S):
                self._meter.sample(time.monotonic())
                self._keep_worst(read_thermal())
        except BaseException as error:  # noqa: BLE001 - raised again where the watch ends
            self._error = error

    def _keep_worst(self, reading: dict[str, float]) -> None:
        for name, value in reading.items():
            if name.startswith(("temperature_c", "throttled_")):
                self._worst[f"{name}_max"] = max(value, self._worst.get(f"{name}_max", value))
