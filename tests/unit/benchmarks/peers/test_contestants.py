"""The peers: their names, workers and versions."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from benchmarks.peers.contestants import PEERS, Peer, find_peers
from edge.errors import UsageError


def peer(*requirements: str, **more) -> Peer:
    return Peer("tested", "onnxruntime_worker.py", "bare", "onnx", "file", requirements, **({"runtime": ()} | more))


def test_peers_by_name() -> None:
    assert find_peers("all") == PEERS
    assert [one.name for one in find_peers("openvino, ncnn,openvino")] == ["openvino", "ncnn"]
    with pytest.raises(UsageError, match="unknown peer 'tensorrt'"):
        find_peers("ncnn,tensorrt")
    with pytest.raises(UsageError, match="none named"):
        find_peers(" , ")


def test_every_peer_has_its_worker() -> None:
    import benchmarks.peers.workers as workers

    folder = Path(workers.__file__).parent
    assert len({one.name for one in PEERS}) == len(PEERS)
    assert [one.name for one in PEERS if not (folder / one.worker).is_file()] == []
    assert all(set(one.runtime) <= {r.partition("==")[0] for r in one.requirements} for one in PEERS)


def test_a_runtime_is_compared_with_its_own_version() -> None:
    assert peer("numpy", "ncnn==1", "numpy<2").pinned() == (f"numpy=={version('numpy')}", "ncnn==1", "numpy<2")
