"""Does MediaPipe Tasks' ImageClassifier take our TFLite files as they are, and see what our own backend sees?

Run by ``make mediapipe``; needs the package index, because mediapipe brings an OpenCV of its own and so gets an environment of its own.
Checked are all TFLite candidates of a small network that MediaPipe can feed (it refuses int8), and those of the bundles named on the
command line, by default those in the package. Pictures are photos of scikit-image at the model's size, so that nobody's resizing
matters. Prints a line each; exit 1 if one fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from package import PIP, ROOT

sys.path.insert(0, str(ROOT))

from edge.backends import load_backend
from edge.bundle.model_file import ModelFile
from edge.bundle.reader import open_bundle
from edge.data import Region, U8Image
from edge.manifest import Candidate
from edge.models import BUILTIN_BUNDLES, bundle_directory
from edge.preprocess import preprocess
from edge.tasks.classify import class_probabilities
from export import progress
from export.candidates import PLANS, input_spec
from export.convert.all import convert
from export.convert.calibrate import HELD_OUT_PHOTOS
from export.skimage_photos import random_crops
from tests.fakes.tiny_net import pictures, tiny_model

PICTURES = 24
SCORE_TOLERANCE = 0.01
"""Two builds of the same runtime; int8 files give the same bits, float16 and dynamic ones may be computed by other kernels."""

Picture = tuple[str, float]


@dataclass(frozen=True, slots=True)
class Case:
    """A TFLite file with its manifest entry and the labels that its metadata must carry."""

    what: str
    path: Path
    candidate: Candidate
    labels: tuple[str, ...]


def small_network(folder: Path) -> Iterator[Case]:
    """Every candidate that MediaPipe can feed."""
    plans = [plan for plan in PLANS if plan.format == "tflite" and plan.input_dtype != "int8"]
    model = tiny_model()
    for draft in convert(model, pictures(32, seed=1), plans, folder, progress.silent):
        yield Case(f"small network, {draft.plan.name}", draft.path, draft.candidate, model.labels)


def bundle_files(directory: Path) -> Iterator[Case]:
    """The TFLite candidates of a bundle that MediaPipe can feed, as they are."""
    bundle = open_bundle(directory)
    for model in bundle.manifest.models:
        for candidate in model.candidates:
            if candidate.format == "tflite" and candidate.input.dtype != "int8":
                what = f"{bundle.manifest.name}, {candidate.name}"
                yield Case(what, bundle.path(candidate.model_file), candidate, bundle.labels(model.first))


def photos(candidate: Candidate) -> U8Image:
    """N×H×W×3 uint8 RGB at the model's size."""
    spec = input_spec(candidate.input.size_hw_px, "onnx")
    return preprocess([Region("photo", pixels) for pixels in random_crops(HELD_OUT_PHOTOS, PICTURES, [0])], spec)


def our_answers(case: Case, images: U8Image) -> list[Picture]:
    """(label, probability) of the best class of each."""
    backend = load_backend(ModelFile.read(case.path), case.candidate, 1)
    crops = [Region("photo", image) for image in images]
    rows = class_probabilities(backend.run(preprocess(crops, case.candidate.input))[0], case.candidate.outputs[0])
    backend.close()
    return [(case.labels[row.argmax()], float(row.max())) for row in rows]


def compare(python: str, case: Case, folder: Path) -> str:
    """What agreed. Raises AssertionError, or CalledProcessError where MediaPipe refuses the file."""
    images = photos(case.candidate)
    np.save(folder / "pictures.npy", images)
    child = Path(__file__).with_name("mediapipe_classify.py")
    done = subprocess.run(
        [python, child, case.path, folder / "pictures.npy"], check=True, capture_output=True, text=True, cwd=folder
    )
    theirs = json.loads(done.stdout)
    facts = theirs["metadata"]
    assert facts["labels"] == list(case.labels), "labels"
    assert (facts["mean"], facts["std"]) == (127.0, 128.0), facts
    ours = our_answers(case, images)
    other = [f"{a[0]} against {b[0]}" for a, b in zip(ours, theirs["top"], strict=True) if a[0] != b[0]]
    assert not other, f"best class differs on {len(other)} of {len(images)}: {', '.join(other[:3])}"
    apart = max(abs(a[1] - b[1]) for a, b in zip(ours, theirs["top"], strict=True))
    assert apart <= SCORE_TOLERANCE, f"scores are up to {apart:.4f} apart"
    classes = len({label for label, _ in ours})
    return (
        f"mediapipe {theirs['version']}: same best class on {len(images)} photos ({classes} classes), scores within {apart:.1e}"
    )


def mediapipe_python(folder: Path) -> str:
    """An interpreter with mediapipe. Raises CalledProcessError where it cannot be installed: then nothing was checked."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, *PIP, "install", "-qq", "mediapipe"], check=True)
    return python


def main() -> int:
    """A line per file."""
    bundles = [Path(word) for word in sys.argv[1:]] or [bundle_directory(f"builtin:{name}") for name in BUILTIN_BUNDLES]
    failed = checked = 0
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        python = mediapipe_python(scratch / "mediapipe")
        cases = [*small_network(scratch), *(case for bundle in bundles for case in bundle_files(bundle))]
        for case in cases:
            checked += 1
            try:
                print(f"ok   {case.what}: {compare(python, case, scratch)}", flush=True)
            except (subprocess.CalledProcessError, AssertionError) as error:
                failed += 1
                print(f"FAIL {case.what}: {error} {(getattr(error, 'stderr', '') or '')[-500:]}", flush=True)
    print(f"{checked - failed} of {checked} files agree")
    return 1 if failed or not checked else 0


if __name__ == "__main__":
    raise SystemExit(main())
