"""The engine cache: whose it is, what it is good for, and how large it gets."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
import pytest

from edge.backends import engines
from edge.backends.engines import engine_directory, is_built, open_directory
from edge.errors import ProviderError
from tests.fakes.candidates import onnx_candidate


def engine(root: Path, name: str, size: int, age_s: int) -> Path:
    directory = root / name
    directory.mkdir(parents=True, mode=0o700)
    (directory / "x.engine").write_bytes(bytes(size))
    os.utime(directory, (1_700_000_000 - age_s,) * 2)
    return directory


def test_an_engine_is_for_one_file_one_precision_and_these_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = onnx_candidate()
    here = engine_directory(tmp_path, candidate, "tensorrt")
    other_file = msgspec.structs.replace(candidate.model_file, sha256="1" * 64)
    others = [
        engine_directory(tmp_path, msgspec.structs.replace(candidate, model_file=other_file), "tensorrt"),
        engine_directory(tmp_path, candidate, "tensorrt-fp16"),
    ]
    monkeypatch.setattr(engines, "accelerator_facts", lambda: {"tensorrt": "libnvinfer.so.10.7.0"})
    others.append(engine_directory(tmp_path, candidate, "tensorrt"))
    monkeypatch.setattr(engines, "runtime_versions", lambda: {"onnxruntime-gpu": "9"})
    others.append(engine_directory(tmp_path, candidate, "tensorrt"))
    assert len({here, *others}) == 5
    assert engine_directory(tmp_path, candidate, "tensorrt") == others[-1]


def test_it_is_its_users_alone(tmp_path: Path) -> None:
    directory = tmp_path / "state" / "engines" / "a"
    open_directory(directory)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (directory.parent, directory)] == [0o700, 0o700]
    assert not is_built(directory)
    directory.chmod(0o770)
    with pytest.raises(ProviderError, match="others may write there"):
        open_directory(directory)


def test_the_least_recently_used_go_first_and_the_wanted_one_never(tmp_path: Path) -> None:
    root = tmp_path / "engines"
    root.mkdir(mode=0o700)
    old, older, oldest = (engine(root, name, 40, age) for name, age in (("old", 10), ("older", 20), ("oldest", 30)))
    open_directory(older, max_bytes=80)
    assert (is_built(older), is_built(old), oldest.exists()) == (True, True, False), "used now, so the youngest"
    open_directory(old, max_bytes=10)
    assert (is_built(old), older.exists()) == (True, False)


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "engines").write_text("a file")
    with pytest.raises(ProviderError, match="engines cannot be kept there"):
        open_directory(tmp_path / "engines" / "a")


def test_a_link_in_the_place_of_the_cache_is_not_pruned(tmp_path: Path) -> None:
    photos = tmp_path / "home" / "photos"
    photos.mkdir(parents=True)
    (photos / "a.jpg").write_bytes(b"x" * 100)
    (tmp_path / "engines").symlink_to(tmp_path / "home")
    with pytest.raises(ProviderError, match="symbolic link"):
        open_directory(tmp_path / "engines" / "a", max_bytes=10)
    assert (photos / "a.jpg").exists()
