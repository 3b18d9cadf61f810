"""Open a bundle's directory, and trust no file of it before its hash is right.

A file is read once: what was hashed is what is used, whatever happens to the directory meanwhile. Only regular files are opened, inside
the directory and not through links, and none that is larger than the manifest and ``edge.bundle.limits`` say.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from edge.bundle.golden import GoldenSet, decode_golden
from edge.bundle.limits import CAMERA, MANIFEST_MAX_BYTES, MAX_FILES, BundleLimits
from edge.bundle.model_file import ModelFile
from edge.bundle.parse import parse_labels, parse_manifest
from edge.errors import BundleError, InputMissingError
from edge.files import read_regular
from edge.manifest import MANIFEST_NAME, Answer, Candidate, FileRef, Format, Labels, Manifest, Model
from edge.tasks import task_of

Shape = tuple[int, ...]

__all__ = ["Bundle", "open_bundle", "parse_manifest"]


class Bundle:
    """An opened bundle. ``sha256`` is the hash of its manifest, which holds the hash of every file: it names the bundle."""

    def __init__(self, directory: Path, manifest: Manifest, sha256: str, limits: BundleLimits = CAMERA) -> None:
        self.directory = directory
        self.manifest = manifest
        self.sha256 = sha256
        self._limits = limits

    def read(self, ref: FileRef) -> bytes:
        """The file's content, whose size and hash were found right in this very content.

        Raises:
            BundleError: the file is missing, or is not the one that the manifest names.
        """
        path = self.directory / ref.file
        content = _read_inside(self.directory, ref.file, ref.bytes)
        if len(content) != ref.bytes:
            raise BundleError(f"{path}: altered: {len(content):,} bytes, but the manifest says {ref.bytes:,}")
        found = hashlib.sha256(content).hexdigest()
        if found != ref.sha256:
            raise BundleError(f"{path}: altered: sha256 is {found[:12]}…, but the manifest says {ref.sha256[:12]}…")
        return content

    def read_manifest(self) -> bytes:
        """The manifest as it lies there, while it is still the one that was opened. Raises BundleError."""
        content = _read_inside(self.directory, MANIFEST_NAME, MANIFEST_MAX_BYTES)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise BundleError(f"{self.directory / MANIFEST_NAME}: altered since it was opened")
        return content

    def path(self, ref: FileRef) -> Path:
        """Where the file lies, after its size and hash were found right: for programs that must be given a path. What is loaded here
        comes from ``read``. Raises BundleError as ``read``."""
        self.read(ref)
        return self.directory / ref.file

    def model_file(self, candidate: Candidate) -> ModelFile:
        """What a backend loads. Raises BundleError as ``read``."""
        return ModelFile(str(self.directory / candidate.model_file.file), self.read(candidate.model_file))

    def labels(self, answer: Answer) -> tuple[str, ...]:
        """The class names, in the order of the output's values; none for an embedder. Raises BundleError."""
        if answer.labels is None:
            return ()
        labels = self._read_labels(answer.labels.text)
        self._check_labels(answer.labels, len(labels))
        return labels

    def golden(self, model: Model, answer: Answer) -> GoldenSet | None:
        """The golden set of one of the model's answers, or None where the bundle has none. Raises BundleError."""
        if answer.golden is None:
            return None
        golden = self._read_golden(answer.golden.archive)[answer.golden.expected]
        self._check_golden(model, answer, golden.images.shape, golden.expected.shape)
        return golden

    def verify(self) -> None:
        """Check every file that the manifest names, that each model file holds nothing but a model, and that there is no other file.

        Raises:
            BundleError: naming the first file that is missing, altered, not in the manifest or not fit to be loaded.
        """
        models: set[tuple[str, Format]] = set()
        labels: dict[str, int] = {}
        golden: dict[str, dict[str, tuple[Shape, Shape]]] = {}
        for model in self.manifest.models:  # many may share a file, which is large: each is looked at once
            for candidate in model.candidates:
                if (candidate.model_file.file, candidate.format) not in models:
                    models.add((candidate.model_file.file, candidate.format))
                    self.model_file(candidate).check(candidate.format)
            for answer in model.answers:
                if answer.labels is not None:
                    ref = answer.labels.text
                    if ref.file not in labels:
                        labels[ref.file] = len(self._read_labels(ref))
                    self._check_labels(answer.labels, labels[ref.file])
                if answer.golden is not None:
                    ref = answer.golden.archive
                    if ref.file not in golden:
                        read = self._read_golden(ref)
                        golden[ref.file] = {name: (one.images.shape, one.expected.shape) for name, one in read.items()}
                        del read  # before the next one is decoded
                    self._check_golden(model, answer, *golden[ref.file][answer.golden.expected])
        _refuse_unlisted(self.directory, self.manifest)

    def _read_labels(self, ref: FileRef) -> tuple[str, ...]:
        return parse_labels(self.read(ref), str(self.directory / ref.file))

    def _check_labels(self, labels: Labels, count: int) -> None:
        if count != labels.count:
            raise BundleError(f"{self.directory / labels.text.file}: {count} labels, but the manifest says {labels.count}")

    def _read_golden(self, ref: FileRef) -> dict[str, GoldenSet]:
        """By the names of what is expected, of all answers that share the archive."""
        answers = (answer for model in self.manifest.models for answer in model.answers)
        expected = {a.golden.expected for a in answers if a.golden is not None and a.golden.archive == ref}
        return decode_golden(self.read(ref), str(self.directory / ref.file), sorted(expected), max_bytes=self._limits.golden)

    def _check_golden(self, model: Model, answer: Answer, images: Shape, expected: Shape) -> None:
        """Shapes of the pictures and of what is expected of them."""
        assert answer.golden is not None  # or there would be none
        path = self.directory / answer.golden.archive.file
        if images[0] != answer.golden.images:
            raise BundleError(f"{path}: {images[0]} images, but the manifest says {answer.golden.images}")
        for candidate in model.candidates:
            if images[1:3] != candidate.input.size_hw_px:
                raise BundleError(f"{path}: images of {images[1:3]}, but {candidate.name} takes {candidate.input.size_hw_px}")
            gives = task_of(answer.task).row_shape(answer.of(candidate.outputs))
            if expected[1:] != gives:
                told, given = ("×".join(map(str, shape)) for shape in (expected[1:], gives))
                raise BundleError(f"{path}: {told} values a picture for {answer.name}, but {candidate.name} gives {given}")


def open_bundle(directory: Path, limits: BundleLimits = CAMERA) -> Bundle:
    """Read and check the manifest and which files there are; what is in them is checked when they are read (``Bundle.read``) or all at
    once (``verify``). ``directory`` itself may be a link.

    Raises:
        InputMissingError: there is no such directory.
        BundleError: it is no bundle, one whose manifest this version does not understand, one larger than ``limits``, or one with a file
            that its manifest does not name.
    """
    if directory.is_file():
        raise BundleError(
            f"{directory}: is a file, but a bundle in use is a directory",
            fix=f"shelfcam bundle unpack {directory} --out DIR, then give that DIR",
        )
    if not directory.is_dir():
        raise InputMissingError(f"{directory}: no such bundle directory")
    content = _read_inside(directory, MANIFEST_NAME, MANIFEST_MAX_BYTES)
    manifest = parse_manifest(content, directory / MANIFEST_NAME, limits)
    _refuse_unlisted(directory, manifest)
    return Bundle(directory, manifest, hashlib.sha256(content).hexdigest(), limits)


_PLAIN = "a bundle holds plain files in plain folders, and no links: copy it again from where it came"


def _read_inside(directory: Path, relative: str, max_bytes: int) -> bytes:
    """No part of ``relative`` is followed if it is a link. Raises BundleError."""
    path = directory / relative
    try:
        return read_regular(path, max_bytes, below=directory)
    except ValueError as error:
        raise BundleError(f"{path}: altered: {error}", fix=_PLAIN) from error
    except OSError as error:
        if error.errno == errno.ENOTDIR:
            raise BundleError(f"{path}: altered: its folder is a link, or no folder", fix=_PLAIN) from error
        what = "not a bundle" if relative == MANIFEST_NAME else "missing from the bundle"
        raise BundleError(f"{path}: {what}: {error.strerror or error}") from error


def _refuse_unlisted(directory: Path, manifest: Manifest) -> None:
    """Raises BundleError at the first entry that the manifest does not name: what is there might be loaded by mistake."""
    files = {MANIFEST_NAME, *manifest.files()}
    folders = {parent.as_posix() for file in files for parent in Path(file).parents}
    for relative, kind in _entries(directory, ""):
        if kind == "link" or relative not in (folders if kind == "folder" else files):
            what = "is a link" if kind == "link" else "not named in the manifest"
            raise BundleError(f"{directory / relative}: {what}", fix="remove it, or export the bundle again")


def _entries(directory: Path, below: str) -> Iterator[tuple[str, str]]:
    """(Path relative to ``directory``, "link", "folder" or "file") of everything in it, a folder before what it holds."""
    try:
        with os.scandir(directory / below) as found:
            first = islice(found, 2 * MAX_FILES)  # among more there is certainly one that no manifest names
            entries = [(e.name, "link" if e.is_symlink() else "folder" if e.is_dir() else "file") for e in first]
    except OSError as error:
        raise BundleError(f"{directory / below}: cannot be read: {error.strerror or error}") from error
    for name, kind in sorted(entries):
        relative = f"{below}/{name}" if below else name
        yield relative, kind
        if kind == "folder":
            yield from _entries(directory, relative)
