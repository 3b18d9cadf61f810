"""A file of the user, which no file of a stranger may change; and readers that do not import PyTorch again for each file."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge import sandbox
from tests.fakes.kept import Kept

CANARY = b"a file of the user\n" * 300


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """Its path; after the test it must hold what it held."""
    path = tmp_path / "canary"
    path.write_bytes(CANARY)
    yield path
    assert path.read_bytes() == CANARY


@pytest.fixture(scope="session")
def _reader() -> Iterator[Kept]:
    kept = Kept(
        "export.load.exported",
        "export.load.torchscript",
        "export.load.open_batch",
        "torch._export.converter",
        "safetensors.torch",
    )
    yield kept
    kept.close()


@pytest.fixture
def quick_reader(_reader: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Confined readers are forks of one process: for tests of what is read. Those of what a hostile file may do start real ones."""
    monkeypatch.setattr(sandbox, "subprocess", SimpleNamespace(Popen=_reader.popen, PIPE=subprocess.PIPE))
