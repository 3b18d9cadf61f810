"""The service as a real process, and what a monitor asks it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.conftest import ROOT
from tests.fakes.events import lines_of
from tests.fakes.patience import patience_s, wait_until


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Service:
    """``shelfcam run --config`` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "shelf-1.toml"
        self.events_file = folder / "events.jsonl"
        self.log = folder / "log"
        self.process: subprocess.Popen | None = None

    def write(self, text: str) -> None:
        new = self.config.with_suffix(".new")
        new.write_text(f"config_version = 1\n{text}\n")
        new.replace(self.config)

    def start(self, around: Callable[[list[str]], list[str]] = list, *, own_sinks: bool = False, **env: str) -> None:
        """``around``: makes another command of it, as ``nice`` would be one; ``own_sinks``: those of the config, of which one writes
        ``events_file``."""
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "edge.cli", "run", "--config", str(self.config)]
            command += [] if own_sinks else ["--events", str(self.events_file)]
            self.process = subprocess.Popen(around(command), cwd=ROOT, stderr=log, stdout=log, env=os.environ | env)

    def end(self) -> None:
        """However it is."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def events(self) -> list[dict]:
        return lines_of(self.events_file)

    def types(self) -> list[str]:
        return [event["type"] for event in self.events() if event["kind"] == "status"]

    def wait(self, what: str, condition: Callable[[], object]) -> None:
        """While the process lives."""

        def reached() -> bool:
            if condition():
                return True
            assert self.process is not None
            assert self.process.poll() is None, f"ended while waiting for {what}: {self.log.read_text()}"
            return False

        wait_until(reached, lambda: f"{what}: {self.log.read_text()}", every_s=0.05)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience_s())


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=patience_s()) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metric(port: int, start: str) -> float:
    """The first sample whose line starts so."""
    return next(float(line.rpartition(" ")[2]) for line in get(port, "/metrics")[1].splitlines() if line.startswith(start))


def observed(service: Service) -> int:
    return sum(event["kind"] == "observation" for event in service.events())
