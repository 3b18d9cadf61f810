"""Bundles that ran are kept, so that one that was damaged or exchanged can be undone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("onnx")

from edge.bundle import kept as kept_module
from edge.bundle.kept import KeptBundles
from edge.bundle.limits import BundleLimits
from edge.bundle.reader import Bundle
from edge.errors import BundleError, SinkError
from tests.fakes.tiny import write_colour_bundle


@pytest.fixture
def kept(tmp_path: Path) -> KeptBundles:
    return KeptBundles(tmp_path / "state" / "bundles")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Bundle]:
    folder = tmp_path_factory.mktemp("bundles")
    return [write_colour_bundle(folder / name, {f"onnx-{name}": (0, 1, 2)}) for name in "abcd"]


def names(kept: KeptBundles, bundles: list[Bundle]) -> str:
    """As letters; capital: proven."""
    letters = {bundle.sha256: "abcd"[index] for index, bundle in enumerate(bundles)}
    return "".join(letters[one.sha256].upper() if one.proven else letters[one.sha256] for one in kept.all())


def test_a_copy_survives_what_happens_to_the_original(kept: KeptBundles, tmp_path: Path) -> None:
    original = write_colour_bundle(tmp_path / "b")
    kept.keep(original, "colour")
    shutil.rmtree(original.directory)
    copy = kept.open(original.sha256)
    assert copy.sha256 == original.sha256
    assert copy.labels(copy.manifest.models[0].first) == ("red", "green", "blue")


def test_the_newest_and_the_newest_that_ran_well_are_kept(kept: KeptBundles, bundles: list[Bundle], tmp_path: Path) -> None:
    a, b, c, d = bundles
    kept.keep(a, "colour")
    assert names(kept, bundles) == "a"
    kept.prove(a)
    kept.keep(b, "colour")
    kept.keep(c, "colour")
    assert names(kept, bundles) == "cA", "what was not proven made place"
    kept.keep(c, "colour")
    assert names(kept, bundles) == "cA"
    kept.prove(c)
    kept.keep(d, "colour")
    assert names(kept, bundles) == "dC"
    kept.keep(c, "colour")
    assert names(kept, bundles) == "Cd"
    assert {path.name for path in (tmp_path / "state" / "bundles").iterdir()} == {"kept.json", c.sha256, d.sha256}


def test_one_of_the_package_is_known_by_name(kept: KeptBundles, bundles: list[Bundle], tmp_path: Path) -> None:
    kept.keep(bundles[0], "colour", builtin="builtin:grocery")
    assert kept.all()[0].builtin == "builtin:grocery"
    assert not (tmp_path / "state" / "bundles" / bundles[0].sha256).exists()


@pytest.mark.parametrize("what", ["onnx-a.onnx", "manifest.json", "labels.txt", "extra", "gone"])
def test_a_copy_that_was_altered_is_not_used_and_is_made_again(
    kept: KeptBundles, bundles: list[Bundle], tmp_path: Path, what: str
) -> None:
    kept.keep(bundles[0], "colour")
    copy = tmp_path / "state" / "bundles" / bundles[0].sha256
    if what == "gone":
        shutil.rmtree(copy)
    elif what == "manifest.json":
        (copy / what).write_bytes((bundles[1].directory / what).read_bytes())
    else:
        (copy / what).write_bytes(b"other")
    with pytest.raises(Exception, match=bundles[0].sha256):
        kept.open(bundles[0].sha256)
    kept.keep(bundles[0], "colour")
    assert kept.open(bundles[0].sha256).sha256 == bundles[0].sha256


def test_what_was_exchanged_since_it_was_loaded_is_not_kept(kept: KeptBundles, tmp_path: Path) -> None:
    bundle = write_colour_bundle(tmp_path / "b")
    (bundle.directory / "onnx-a.onnx").write_bytes(b"other")
    with pytest.raises(BundleError, match="altered"):
        kept.keep(bundle, "colour")
    write_colour_bundle(tmp_path / "b", {"onnx-z": (0, 1, 2)}, replace=True)
    with pytest.raises(BundleError, match="altered since it was opened"):
        kept.keep(bundle, "colour")
    assert kept.all() == ()
    assert not list((tmp_path / "state" / "bundles").glob("*"))


def test_a_copy_that_runs_is_not_overwritten_by_itself(kept: KeptBundles, bundles: list[Bundle], tmp_path: Path) -> None:
    kept.keep(bundles[0], "colour")
    copy = kept.open(bundles[0].sha256)
    kept.keep(copy, "colour")
    (copy.directory / "labels.txt").write_text("other")
    with pytest.raises(BundleError, match="altered while it ran"):
        kept.keep(copy, "colour")
    assert (copy.directory / "onnx-a.onnx").exists()


@pytest.mark.parametrize(
    "content", ["{", '{"schema": 9, "kept": []}', '{"schema": 1, "kept": [{"sha256": "../../x", "model": "m"}]}', " " * 200_000]
)
def test_a_damaged_index_is_forgotten(kept: KeptBundles, bundles: list[Bundle], tmp_path: Path, content: str, caplog) -> None:
    root = tmp_path / "state" / "bundles"
    root.mkdir(parents=True)
    (root / "kept.json").write_text(content)
    assert kept.all() == ()
    assert "cannot be read" in caplog.text
    kept.keep(bundles[0], "colour")
    assert names(kept, bundles) == "a"


def test_one_that_is_too_large_or_finds_no_space_is_not_kept(kept: KeptBundles, bundles: list[Bundle], monkeypatch) -> None:
    monkeypatch.setattr(kept_module, "SPARE_BYTES", 2**60)
    with pytest.raises(SinkError, match="too little space"):
        kept.keep(bundles[0], "colour")
    monkeypatch.setattr(kept_module, "CAMERA", BundleLimits(total=10, model=10, golden=10))
    with pytest.raises(SinkError, match="more than the 10 that are kept"):
        kept.keep(bundles[0], "colour")
    assert kept.all() == ()


def test_a_copy_can_be_stopped_and_leaves_nothing(kept: KeptBundles, bundles: list[Bundle], tmp_path: Path) -> None:
    kept.keep(bundles[0], "colour")
    with pytest.raises(SinkError, match="stopped"):
        kept.keep(bundles[1], "colour", stopped=lambda: True)
    assert names(kept, bundles) == "a"
    assert {path.name for path in (tmp_path / "state" / "bundles").iterdir()} == {"kept.json", bundles[0].sha256}


def test_a_link_in_the_place_of_the_directory_leads_to_no_harm(tmp_path: Path) -> None:
    """Copies that nobody needs are removed, and what lies behind a link is somebody else's."""
    home = tmp_path / "home"
    (home / "photos").mkdir(parents=True)
    (home / "letter").write_text("dear")
    kept = KeptBundles(tmp_path / "bundles")
    (tmp_path / "bundles").symlink_to(home)
    original = write_colour_bundle(tmp_path / "b")
    for builtin in (None, "builtin:grocery"):
        with pytest.raises(SinkError, match="symbolic link"):
            kept.keep(original, "colour", builtin=builtin)
    assert sorted(path.name for path in home.iterdir()) == ["letter", "photos"]
    shutil.copytree(original.directory, home / original.sha256)
    with pytest.raises(BundleError, match="no plain folder"):
        kept.open(original.sha256)


def test_an_index_that_is_a_pipe_is_no_index(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "kept.json")
    assert KeptBundles(tmp_path).all() == ()
