"""Fixtures that many tests share."""

from __future__ import annotations

import os
from pathlib import Path

# Two processes of tests and their children share the cores. Threads of PyTorch or OpenBLAS that wait for one another by spinning take
# from the other process what it waits for: a convolution of 32×32 pixels then lasts 18 ms. Before the first import of any of them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from edge import text

settings.register_profile("steady", deadline=None)  # a busy machine is no failure
settings.load_profile("steady")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the state of whoever runs it, or is taken for a service by systemd's variables."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    for name in ("STATE_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The secrets of one test are words of another's messages."""
    monkeypatch.setattr(text, "_SECRETS", {})
    monkeypatch.setattr(text, "_PATTERN", [None])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data beside the project; tests that need it skip where it is absent."""
    data = ROOT.parent / "shared" / "data"
    if not data.is_dir():
        pytest.skip(f"the data directory is absent: {data}")
    return data


@pytest.fixture(scope="session")
def third_party(shared_data: Path) -> Path:
    """Models and pictures that somebody else made."""
    directory = shared_data / "thirdparty"
    if not directory.is_dir():
        pytest.skip(f"the third-party models are absent: {directory}")
    return directory


@pytest.fixture(scope="session")
def colour_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny red-green-blue bundle with one candidate."""
    pytest.importorskip("onnx")
    from tests.fakes.tiny import write_colour_bundle

    return write_colour_bundle(tmp_path_factory.mktemp("bundles") / "colour").directory
