"""The peers' Python environments: found, made on request, and weighed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.peers.contestants import OURS, Peer
from edge.choice.keys import installed_versions
from edge.errors import BackendError
from edge.strict import Strict

_WORKERS = Path(__file__).with_name("workers")
_NOT_COUNTED = frozenset({"pip", "setuptools", "wheel"})
_INSTALL_TIMEOUT_S = 1800
_TOOL_TIMEOUT_S = 300
_OUR_RUNTIME = ("shelfcam", "onnxruntime", "ai-edge-litert", "opencv-python-headless", "numpy", "cyclopts", "msgspec", "rich")
"""What a camera carries, in bytes of distributions; the environment that a benchmark runs in has far more."""


class Weighed(Strict, frozen=True, kw_only=True):
    """A distribution as ``workers/sizes.py`` reports it."""

    version: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes on disk: of the runtime's own distributions, and of the whole environment without pip, setuptools and converters (None where
    the environment is shelfcam's own, which holds much besides)."""

    runtime_bytes: int
    environment_bytes: int | None


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a peer runs. ``own``: an environment that holds nothing else."""

    python: str
    own: bool

    def command(self, peer: Peer) -> list[str]:
        """The command line of the peer's worker. ``-I`` is not used: the worker imports its harness from its own folder."""
        return [self.python, str(_WORKERS / peer.worker)]


def default_folder() -> Path:
    """``$XDG_CACHE_HOME/shelfcam/peers``, by default below ``~/.cache``."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "shelfcam" / "peers"


def find_environment(folder: Path, peer: Peer) -> Environment | None:
    """The peer's own below ``folder``; else this one, where it has the peer's packages; else None."""
    python = _python(folder, peer)
    if python.exists():
        return Environment(str(python), own=True)
    if len(installed_versions(peer.requirements)) == len(peer.requirements):  # none is found whose words name a version
        return Environment(sys.executable, own=False)
    return None


def how_to_install(folder: Path, peer: Peer) -> str:
    """For a peer that is absent."""
    home = _python(folder, peer).parent.parent
    lines = [f"{Path(sys.executable).name} -m venv {home}", *peer.pip_lines(str(_python(folder, peer)))]
    return f"absent: shelfcam bench compare --install --peers {peer.name} --envs {folder}, or: {' && '.join(lines)}"


def install(folder: Path, peer: Peer) -> None:
    """Make the peer's environment with pip, with whatever index pip is configured for. Raises BackendError; what was begun is then
    completed by the next try; what is there already costs pip a second."""
    python = _python(folder, peer)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--only-binary=:all:"]
    steps = [[sys.executable, "-m", "venv", str(python.parent.parent)], [*pip, *peer.pinned()]]
    if peer.tools:
        steps.append([*pip, "--no-deps", *peer.tools])
    for step in steps:
        _run(step, f"{peer.name} cannot be installed", _INSTALL_TIMEOUT_S)


def weigh(environment: Environment, peer: Peer) -> Disk:
    """What the peer takes on disk. Raises BackendError."""
    found = distributions(environment)
    tools = {one.partition("==")[0] for one in peer.tools}
    runtime = sum(found[name].bytes for name in peer.runtime if name in found)
    whole = sum(one.bytes for name, one in found.items() if name not in _NOT_COUNTED | tools)
    return Disk(runtime, whole if environment.own else None)


def weigh_ours() -> Disk:
    """What a camera carries: shelfcam, its required packages and both runtimes. An editable install's own files are not in RECORD: they
    are counted where they are."""
    found = distributions(Environment(sys.executable, own=False))
    total = sum(found[name].bytes for name in _OUR_RUNTIME if name in found)
    package = Path(__file__).resolve().parents[2] / "edge"
    if found.get(OURS, Weighed(version="", bytes=0)).bytes < 1_000_000:
        total += sum(path.stat().st_size for path in package.rglob("*") if path.is_file())
    return Disk(total, None)


def distributions(environment: Environment) -> dict[str, Weighed]:
    """Everything installed there, by name. Raises BackendError."""
    said = _run([environment.python, str(_WORKERS / "sizes.py")], "the environment cannot be weighed", _TOOL_TIMEOUT_S)
    return msgspec.json.decode(said, type=dict[str, Weighed])


def run_tool(command: list[str], what: str, place: Path) -> None:
    """A converter, in ``place``. Raises BackendError with its last line."""
    _run(command, what, _TOOL_TIMEOUT_S, place)


def tool(environment: Environment, package: str, name: str) -> Path:
    """A program inside a package of the environment, found without importing it (the converter's Python side wants PyTorch)."""
    root = Path(environment.python).parent.parent
    found = sorted(root.glob(f"lib/python3*/site-packages/{package}/{name}"))
    if not found:
        raise BackendError(
            f"{package} is not installed in {root}", fix=f"{environment.python} -m pip install --no-deps {package}"
        )
    return found[0]


def _python(folder: Path, peer: Peer) -> Path:
    return folder.absolute() / peer.name / "bin" / "python"


def _run(command: list[str], what: str, timeout_s: float, place: Path | None = None) -> bytes:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False, cwd=place)
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"{what}: it took longer than {timeout_s:.0f} s") from error
    except OSError as error:
        raise BackendError(f"{what}: {error}") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        raise BackendError(f"{what}: {lines[-1].strip() if lines else f'ended with {done.returncode}'}")
    return done.stdout
