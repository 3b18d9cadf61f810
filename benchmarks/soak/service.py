"""The service under a soak: a child process that is started again as systemd would, and looked at twice a second."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure.children import HOME
from benchmarks.record.host import process_status
from edge.errors import BackendError, ExitCode

FOR_GOOD = (ExitCode.USAGE, ExitCode.DATA, ExitCode.NO_INPUT, ExitCode.CONFIG)
"""Exit codes after which the unit is not started again."""
SAMPLE_S = 0.5
_RESTART_S, _STOP_S = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class SoakSample:
    """One look at ``time_s`` of the soak: the process, how many frames it has seen (None: it does not answer), what it holds."""

    time_s: float
    pid: int
    frames: int | None
    resident_bytes: int
    threads: int
    descriptors: int


class Supervised:
    """``shelfcam run --config`` until it is stopped. ``starts``: all of them; ``ended``: codes it ended with by itself.

    Args:
        name: of the camera.
        place: for its config and its log.
        config: the text of the config.
        port: of its metrics.
        env: added to this process's environment.
        now_s: seconds of the soak.
    """

    def __init__(
        self, name: str, place: Path, config: str, *, port: int, env: dict[str, str], now_s: Callable[[], float]
    ) -> None:
        self.name, self.place, self.port = name, place, port
        self.config_text, self.config = config, place / f"{name}.toml"
        self.config.write_text(config, encoding="utf-8")
        self.samples: list[SoakSample] = []
        self.ended: list[int] = []
        self.starts = 0
        self._now_s = now_s
        kept = {k: v for k, v in os.environ.items() if k not in {"STATE_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC"}}
        self._environment = kept | env
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._supervise, self._look)]

    def __enter__(self) -> Supervised:
        self._start()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.wait()

    def kill(self) -> None:
        """With SIGKILL; it is started again."""
        with self._lock:
            self._killed = True
            self._signal(signal.SIGKILL)

    def reload(self, text: str) -> None:
        """Put this config in the place of the one there, and tell it."""
        new = self.config.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(self.config)
        self._signal(signal.SIGHUP)

    def stop(self) -> int:
        """SIGTERM, and its exit code. Raises BackendError if it does not end."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        assert self._child is not None  # it was started
        self._child.terminate()
        try:
            return self._child.wait(_STOP_S)
        except subprocess.TimeoutExpired as error:
            raise BackendError(f"{self.name} did not end within {_STOP_S:.0f} s after SIGTERM") from error

    def sees(self) -> bool:
        """Whether frames went through between the last two looks."""
        return len(self.samples) > 1 and advances(*self.samples[-2:])

    def _signal(self, number: int) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    def _start(self) -> None:
        command = [sys.executable, "-m", "edge.cli", "run", "--config", str(self.config)]
        with (self.place / f"{self.name}.log").open("ab") as log:
            self._child = subprocess.Popen(
                command, cwd=HOME, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.starts += 1

    def _supervise(self) -> None:
        while not self._stopping.wait(0.1):
            assert self._child is not None  # it was started
            code = self._child.poll()
            if code is None:
                continue
            with self._lock:
                if not (self._killed and code == -signal.SIGKILL):
                    self.ended.append(code)
                self._killed = False
            if code in FOR_GOOD:
                return
            if not self._stopping.wait(_RESTART_S):
                self._start()

    def _look(self) -> None:
        while not self._stopping.wait(SAMPLE_S):
            child = self._child
            if child is None or child.poll() is not None:
                continue
            frames, fields = self._frames(), process_status(child.pid)
            try:
                descriptors = len(list(Path(f"/proc/{child.pid}/fd").iterdir()))
                resident, threads = int(fields["VmRSS"].split()[0]) * 1024, int(fields["Threads"])
            except (OSError, KeyError):
                continue  # it is gone
            self.samples.append(SoakSample(self._now_s(), child.pid, frames, resident, threads, descriptors))

    def _frames(self) -> int | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return None
        line = next((line for line in text.splitlines() if line.startswith("shelfcam_frames_processed_total ")), None)
        return None if line is None else int(float(line.split()[1]))


def advances(before: SoakSample, after: SoakSample) -> bool:
    """Whether the same process saw frames between two looks that are not far apart."""
    if before.pid != after.pid or before.frames is None or after.frames is None:
        return False
    return after.frames > before.frames and after.time_s - before.time_s < 4 * SAMPLE_S


def wait_for(condition: Callable[[], object], patience_s: float) -> bool:
    """Until it holds; False after ``patience_s``."""
    deadline_s = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.1)
    return True
