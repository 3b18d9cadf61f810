"""Environments that are found, absent, made and weighed."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from base64 import urlsafe_b64encode
from importlib.metadata import version
from pathlib import Path

import pytest

from benchmarks.peers.command import find_environments
from benchmarks.peers.contestants import Peer
from benchmarks.peers.envs import Environment, distributions, find_environment, how_to_install, install, weigh, weigh_ours
from edge.errors import BackendError


def peer(*requirements: str, **more) -> Peer:
    return Peer("tested", "onnxruntime_worker.py", "bare", "onnx", "file", requirements, **({"runtime": ()} | more))


def silent(text: str) -> None: ...


def write_wheel(folder: Path) -> Path:
    """A distribution with one module of known length."""
    path = folder / "shelfcam_tests_peer-1.0-py3-none-any.whl"
    info = "shelfcam_tests_peer-1.0.dist-info"
    files = {
        "shelfcam_tests_peer.bin": b"x" * 12_345,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: shelfcam-tests-peer\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {name: urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode() for name, data in files.items()}
    record = "".join(f"{name},sha256={digests[name]},{len(data)}\n" for name, data in files.items()) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, data in (files | {f"{info}/RECORD": record.encode()}).items():
            wheel.writestr(name, data)
    return path


def test_an_absent_peer_is_listed_with_its_pip_line(tmp_path: Path) -> None:
    absent = peer("no-such-runtime==1.0", "numpy<2", tools=("converter==2",))
    found, missing = find_environments([absent], tmp_path, make=False, say=silent)
    assert not found
    assert missing[0].name == "tested"
    python = tmp_path / "tested" / "bin" / "python"
    assert f"{python} -m pip install no-such-runtime==1.0 'numpy<2'" in missing[0].reason
    assert f"{python} -m pip install --no-deps converter==2" in missing[0].reason
    assert missing[0].reason == how_to_install(tmp_path, absent)


def test_its_own_environment_comes_before_this_one(tmp_path: Path) -> None:
    wanted = peer("numpy")
    assert find_environment(tmp_path, wanted) == Environment(sys.executable, own=False)
    python = tmp_path / "tested" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert find_environment(tmp_path, wanted) == Environment(str(python), own=True)
    assert find_environment(tmp_path / "else", peer("numpy", "numpy<1.5")) is None


def test_made_used_and_weighed(tmp_path: Path) -> None:
    """And named, if it cannot be installed: in one environment, for one takes seconds to make."""
    found, missing = find_environments([peer(str(tmp_path / "absent.whl"))], tmp_path / "envs", make=True, say=silent)
    assert not found
    assert missing[0].reason.startswith("tested cannot be installed: ")
    assert "absent.whl" in missing[0].reason
    wheel = write_wheel(tmp_path)
    wanted = peer(str(wheel), runtime=("shelfcam-tests-peer",))
    found, missing = find_environments([wanted], tmp_path / "envs", make=True, say=silent)
    assert not missing
    environment = found["tested"]
    assert environment.own
    disk = weigh(environment, wanted)
    assert 12_345 < disk.runtime_bytes < 14_345, "the module and its metadata"
    assert disk.environment_bytes == disk.runtime_bytes, "pip and setuptools are not counted"
    install(tmp_path / "envs", wanted)  # a second time changes nothing
    assert weigh(environment, wanted) == disk


def test_this_environment_is_weighed() -> None:
    here = distributions(Environment(sys.executable, own=False))
    assert here["numpy"].version == version("numpy")
    assert here["numpy"].bytes > 1_000_000
    assert weigh_ours().runtime_bytes > here["numpy"].bytes
    with pytest.raises(BackendError, match="cannot be weighed"):
        distributions(Environment("/nowhere/python", own=True))
