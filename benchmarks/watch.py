"""What the board says while something is measured: heat and clock before, after and at their worst; joules."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from benchmarks.energy import EnergyMeter, find_counters, find_vcgencmd, read_powers
from benchmarks.host import read_thermal, thermal_change

PERIOD_S = 1.0


class Watch:
    """A context manager. A thread of its own reads once a second: less than a thousandth of one CPU.

    Afterwards ``thermal`` holds ``…_before`` and ``…_after`` of ``benchmarks.host.read_thermal`` and ``temperature_c_max``, and
    ``energy_j`` joules by rail; both only what the board tells.
    """

    def __init__(self) -> None:
        vcgencmd = find_vcgencmd()
        self._meter = EnergyMeter(find_counters(), lambda: read_powers(vcgencmd=vcgencmd))
        self._over = threading.Event()
        self._hottest: list[float] = []
        self._error: BaseException | None = None
        self.thermal: dict[str, float] = {}
        self.energy_j: dict[str, float] = {}

    def __enter__(self) -> Watch:
        self._before = read_thermal()
        self._sample()
        self._thread = threading.Thread(target=self._go_on, name="watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error
        self._sample()
        self.thermal = thermal_change(self._before, read_thermal())
        if self._hottest:
            self.thermal["temperature_c_max"] = max(self._hottest)
        self.energy_j = dict(self._meter.joules)

    def _go_on(self) -> None:
        try:
            while not self._over.wait(PERIOD_S):
                self._sample()
        except BaseException as error:  # noqa: BLE001 - raised again where the watch ends
            self._error = error

    def _sample(self) -> None:
        self._meter.sample(time.monotonic())
        self._hottest += [value for name, value in read_thermal().items() if name == "temperature_c"]
