"""A bundle made again is accepted within tolerance and refused beyond it."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("onnx")

from edge.bundle.reader import Bundle, open_bundle
from edge.bundle.writer import BundleWriter
from export.compare import differences, main
from tests.fakes.tiny import write_colour_bundle


def remade(kept: Path, out: Path, edit) -> Bundle:
    """A copy whose manifest was passed through ``edit``."""
    old = open_bundle(kept)
    with BundleWriter(out) as writer:
        for name in old.manifest.files():
            writer.add(name, kept / name)
        writer.finish(edit(old.manifest))
    return open_bundle(out)


def with_quality(manifest, **changes):
    model = manifest.models[0]
    candidate = model.candidates[0]
    quality = (msgspec.structs.replace(candidate.quality[0], **changes),)
    candidate = msgspec.structs.replace(candidate, quality=quality)
    return msgspec.structs.replace(manifest, models=(msgspec.structs.replace(model, candidates=(candidate,)),))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"logit_cosine": 0.995}, None),
        ({"logit_cosine": 0.985}, "logit cosine"),
        ({"top1_agreement": 0.96}, None),
        ({"top1_agreement": 0.9}, "top-1 agreement"),
    ],
)
def test_quality_within_tolerance(colour_bundle: Path, tmp_path: Path, changes, named) -> None:
    new = remade(colour_bundle, tmp_path / "new", lambda m: with_quality(m, **changes))
    found = list(differences(new, open_bundle(colour_bundle)))
    assert found == [] if named is None else named in found[0]


def test_other_candidates_or_labels_are_a_difference(colour_bundle: Path, tmp_path: Path) -> None:
    other = write_colour_bundle(tmp_path / "other", {"onnx-b": (0, 1, 2)})
    assert any("candidates onnx-b instead of onnx-a" in line for line in differences(other, open_bundle(colour_bundle)))


def test_the_command_says_so_by_its_exit_code(colour_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(colour_bundle), str(colour_bundle)]) == 0
    assert "1.0000 / 1.0000" in capsys.readouterr().out
    new = remade(colour_bundle, tmp_path / "new", lambda m: with_quality(m, logit_cosine=0.5))
    assert main([str(new.directory), str(colour_bundle)]) == 65
    shutil.copytree(colour_bundle, tmp_path / "damaged")
    (tmp_path / "damaged" / "labels.txt").write_text("x")
    assert main([str(tmp_path / "damaged"), str(colour_bundle)]) == 65
    assert "labels.txt" in capsys.readouterr().err
