"""Schema 1 of ``manifest.json``. Model facts live here and nowhere else.

Every struct refuses unknown keys. ``SCHEMA`` is the major version: a file with another one is refused by name before anything
else in it is looked at (``edge.bundle.reader``).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Annotated, Literal, TypeVar

import msgspec

from edge.strict import Count, Name, Positive, Strict

SCHEMA: Literal[1] = 1
MANIFEST_NAME = "manifest.json"

INT8_MAC_SHARE_MIN = 0.90
"""Below this share of multiply-accumulates in 8-bit kernels a candidate is called ``mixed``, not ``int8``."""

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
RelPath = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*\Z", max_length=200)]
Side = Annotated[int, msgspec.Meta(ge=1, le=8192)]
Batch = Annotated[int, msgspec.Meta(ge=1, le=4096)]
Length = Annotated[int, msgspec.Meta(ge=1, le=2**24)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Cosine = Annotated[float, msgspec.Meta(ge=-1.0, le=1.0)]

TaskName = Literal["classify", "embed", "detect"]
Format = Literal["onnx", "tflite"]
RuntimeKey = tuple[Format, str]
"""A file's format, and what ``requires.runtime`` calls the runtime that runs it."""
Precision = Literal["fp32", "fp16", "int8", "mixed"]
Layout = Literal["NHWC", "NCHW"]
InputDtype = Literal["uint8", "int8", "float32"]
ColourOrder = Literal["RGB", "BGR"]
Fit = Literal["stretch", "centre_crop", "letterbox"]
Filter = Literal["halve_linear"]
Meaning = Literal["logits", "softmax", "embedding", "boxes", "scores"]
"""Of an output's values: ``boxes`` are left, top, right, bottom in pixels of the model's input, ``scores`` lie in [0, 1]."""
GoldenSource = Literal["held_out", "rendered"]
ArrayName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*\Z", max_length=60)]
CalibrationName = Literal["min-max", "percentile", "percentile-99.9", "entropy", "mse"]


class FileRef(Strict, frozen=True, kw_only=True):
    """A file of the bundle, relative to its directory, with the size and hash that it must have."""

    file: RelPath
    bytes: Count
    sha256: Sha256


class Quantization(Strict, frozen=True, kw_only=True):
    """Affine quantization of a whole tensor: real = scale × (stored − zero_point)."""

    scale: Annotated[float, msgspec.Meta(gt=0.0)]
    zero_point: Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31)]


class Normalisation(Strict, frozen=True, kw_only=True):
    """real = (pixel − mean) / scale, per channel in the model's colour order; pixels are 0…255."""

    mean: tuple[float, float, float]
    scale: tuple[float, float, float]


class Resize(Strict, frozen=True, kw_only=True):
    """How a crop becomes the model's input size; ``edge.preprocess`` gives each rule its exact meaning."""

    fit: Fit
    filter: Filter = "halve_linear"


class InputSpec(Strict, frozen=True, kw_only=True):
    """What the model is fed. ``batch`` is how many crops one call takes: a fixed number, or "dynamic".

    ``normalise`` is "folded" where the graph itself maps raw pixels 0…255; then ``quantization`` is null. A quantized graph that
    was not folded has both: pixels are normalised, then quantized.
    """

    name: str
    batch: Batch | Literal["dynamic"]
    height_px: Side
    width_px: Side
    layout: Layout
    dtype: InputDtype
    colour: ColourOrder
    resize: Resize
    normalise: Normalisation | Literal["folded"]
    quantization: Quantization | None = None

    @property
    def size_hw_px(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height_px, self.width_px


class OutputSpec(Strict, frozen=True, kw_only=True):
    """One output: what it gives for each picture, ``shape`` without the batch, what the values mean, and how to read them if they are
    quantized."""

    name: str
    shape: Annotated[tuple[Length, ...], msgspec.Meta(min_length=1, max_length=5)]
    dtype: Literal["float32", "uint8", "int8"]
    meaning: Meaning
    quantization: Quantization | None = None

    @property
    def width(self) -> int:
        """Values for each picture."""
        return prod(self.shape)


class Requires(Strict, frozen=True, kw_only=True):
    """What must be installed: the runtime, one that ``edge.bundle.runtimes`` knows for the format, and, for ONNX, the graph's opset."""

    runtime: Name
    opset: Positive | None = None


class WeightTensors(Strict, frozen=True, kw_only=True):
    """Counted in the file, not taken from a flag: constant tensors that feed multiply-accumulates, and their elements."""

    tensors_8bit: Count
    tensors: Count
    elements_8bit: Count
    elements: Count


class Quality(Strict, frozen=True, kw_only=True):
    """What was measured of one ``answer``, on which images, with which arithmetic; against the float PyTorch model.

    ``logit_cosine`` and ``top1_agreement`` are what the answer's task compares (``edge.tasks``): of a classifier the mean cosine of
    mean-centred logits, and the share of images with the same best class.
    ``accuracy``: share right, where labels are known; ``float_accuracy``: the float network's on the same images. ``arithmetic``
    names the runtime options and what the CPU does with them, for example "x64quantprecision=1".
    """

    answer: Name
    images: Positive
    source: GoldenSource
    logit_cosine: Cosine
    top1_agreement: Share
    accuracy: Share | None = None
    float_accuracy: Share | None = None
    runtime: str
    arithmetic: str


class Recipe(Strict, frozen=True, kw_only=True):
    """How an 8-bit candidate was quantized. ``calibration``: how activation ranges were taken; ``symmetric``: around zero;
    ``per_channel``: a weight scale for each output channel; ``rounding``: weights rounded together, not one by one; ``equalised``:
    channels brought to like ranges first; ``float_layers``: left in float on purpose. ``steps``: what was tried before this came
    out, in order, with what each changed. ``saturates_on``: CPUs on which plain 8-bit sums of this file may overflow.
    """

    calibration: CalibrationName
    weight_bits: Literal[7, 8]
    symmetric: bool
    per_channel: bool
    rounding: bool
    equalised: bool
    float_layers: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    saturates_on: str


class Candidate(Strict, frozen=True, kw_only=True):
    """One file that can serve a model, and everything needed to run and judge it. ``runtime_options``: keys and values
    that ``edge.bundle.runtimes`` allows for the runtime only."""

    name: Name
    model_file: FileRef
    format: Format
    precision: Precision
    int8_mac_share: Share
    weights: WeightTensors
    macs: Count
    input: InputSpec
    outputs: tuple[OutputSpec, ...]
    runtime_options: dict[str, str] = msgspec.field(default_factory=dict)
    requires: Requires
    quality: tuple[Quality, ...] = ()
    recipe: Recipe | None = None

    @property
    def runtime_key(self) -> RuntimeKey:
        """By which ``edge.bundle.runtimes`` and the backends know what runs it."""
        return self.format, self.requires.runtime


class Golden(Strict, frozen=True, kw_only=True):
    """Pictures with the float model's answers: ``archive`` is a .npz with ``images`` (N×H×W×3 uint8 RGB) and, under the name that
    ``expected`` gives, what the float model says of each (N×… float32, as the answer's task compares it). Several answers of a model may
    share an archive, each with an array of its own."""

    archive: FileRef
    images: Positive
    source: GoldenSource
    expected: ArrayName = "expected"


class Gate(Strict, frozen=True, kw_only=True):
    """What a candidate must reach on the golden set, wherever it runs; an agreement of 0 asks for nothing.

    ``accuracy_min`` holds on labelled images like those of the export: the float network's accuracy there less
    ``accuracy_drop_max``, and at least ``accuracy_share_min`` of it; the export wrote down the stricter of the two.
    """

    logit_cosine_min: Cosine
    top1_agreement_min: Share
    accuracy_min: Share | None = None
    accuracy_drop_max: Share | None = None
    accuracy_share_min: Share | None = None


class Labels(Strict, frozen=True, kw_only=True):
    """One class name a line, in the order of the output's values."""

    text: FileRef
    count: Length


class Detection(Strict, frozen=True, kw_only=True):
    """Which boxes count: the surest ``most`` that score at least ``score_min`` and overlap no surer one of the same label by more than
    ``overlap_max`` (area in common ÷ area of both)."""

    score_min: Share = 0.5
    overlap_max: Share = 0.5
    most: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


T = TypeVar("T")


class Answer(Strict, frozen=True, kw_only=True):
    """One of the things that a model says about a picture: ``task`` says what kind, ``outputs`` where it stands among the outputs of
    every candidate, by their indices in the order that the task reads them.

    ``golden`` and ``gate`` are null only where there is no float model to compare with (a wrapped third-party file). An embedder has no
    ``labels``; a classifier must. ``detection`` belongs to the task of that name.
    """

    name: Name
    task: TaskName
    outputs: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, le=63)], ...], msgspec.Meta(min_length=1, max_length=8)] = (0,)
    labels: Labels | None
    golden: Golden | None
    gate: Gate | None
    detection: Detection | None = None

    def of(self, outputs: Sequence[T]) -> tuple[T, ...]:
        """Of what there is for every output of a candidate, that for this answer's."""
        return tuple(outputs[index] for index in self.outputs)


class Model(Strict, frozen=True, kw_only=True):
    """One network, what it says, and the candidates that can serve it; the first answer is what a command shows that shows one."""

    name: Name
    weights: Literal["trained", "random"]
    answers: Annotated[tuple[Answer, ...], msgspec.Meta(min_length=1, max_length=8)]
    candidates: Annotated[tuple[Candidate, ...], msgspec.Meta(min_length=1)]

    @property
    def first(self) -> Answer:
        """The first answer."""
        return self.answers[0]

    def candidate(self, name: str) -> Candidate | None:
        """The candidate of that name, or None."""
        return next((c for c in self.candidates if c.name == name), None)


class Provenance(Strict, frozen=True, kw_only=True):
    """Where a bundle came from, for whoever has to explain it later. Hashes are SHA-256; ``git_commit`` is the exporter's."""

    created_utc: str
    command: str
    tools: dict[str, str]
    git_commit: str | None = None
    checkpoint: str | None = None
    checkpoint_sha256: Sha256 | None = None
    calibration: str | None = None
    calibration_sha256: Sha256 | None = None
    calibration_images: Count | None = None
    licence: str | None = None
    notes: tuple[str, ...] = ()


class Step(Strict, frozen=True, kw_only=True):
    """One model's turn in a pipeline. ``crop``: an earlier answer's boxes are cut out, with ``padding`` on each side as a share of the
    box's width and height, and the model (and those after it) sees those instead of what they were found in."""

    model: Name
    crop: Name | None = None
    padding: Annotated[float, msgspec.Meta(ge=0.0, le=2.0)] = 0.0


class Manifest(Strict, frozen=True, kw_only=True):
    """The whole of ``manifest.json``. ``pipeline``: the models through which what a camera sees goes, in order; empty where a bundle
    offers models to choose one from."""

    schema: Literal[1]
    name: Name
    models: Annotated[tuple[Model, ...], msgspec.Meta(min_length=1)]
    pipeline: Annotated[tuple[Step, ...], msgspec.Meta(max_length=8)] = ()
    provenance: Provenance

    @property
    def steps(self) -> tuple[Step, ...]:
        """What runs of the bundle, in order: its pipeline, or its only model; none where one of several must be named."""
        return self.pipeline or tuple(Step(model=model.name) for model in self.models if len(self.models) == 1)

    def files(self) -> dict[str, FileRef]:
        """Every file that the bundle must hold, by relative path. Candidates may share a file."""
        refs: dict[str, FileRef] = {}
        for model in self.models:
            for answer in model.answers:
                if answer.labels is not None:
                    refs[answer.labels.text.file] = answer.labels.text
                if answer.golden is not None:
                    refs[answer.golden.archive.file] = answer.golden.archive
            for candidate in model.candidates:
                refs[candidate.model_file.file] = candidate.model_file
        return refs
