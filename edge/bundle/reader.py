"""Open a bundle's directory, and trust no file of it before its hash is right."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from edge import strict
from edge.bundle.golden import GOLDEN_MIN_IMAGES, GoldenSet, decode_golden
from edge.bundle.manifest import (
    INT8_MAC_SHARE_MIN,
    MANIFEST_NAME,
    SCHEMA,
    Candidate,
    FileRef,
    Manifest,
    Model,
    Normalisation,
)
from edge.errors import BundleError, InputMissingError
from edge.files import sha256_of


class Bundle:
    """An opened bundle. ``sha256`` is the hash of its manifest, which holds the hash of every file: it names the bundle."""

    def __init__(self, directory: Path, manifest: Manifest, sha256: str) -> None:
        self.directory = directory
        self.manifest = manifest
        self.sha256 = sha256

    def path(self, ref: FileRef) -> Path:
        """Where the file lies, after its size and hash were found right.

        Raises:
            BundleError: the file is missing, or is not the one that the manifest names.
        """
        path = self.directory / ref.file
        try:
            size = path.stat().st_size
            found = sha256_of(path) if size == ref.bytes else None
        except OSError as error:
            raise BundleError(f"{path}: missing from the bundle: {error.strerror or error}") from error
        if found is None:
            raise BundleError(f"{path}: altered: {size:,} bytes, but the manifest says {ref.bytes:,}")
        if found != ref.sha256:
            raise BundleError(f"{path}: altered: sha256 is {found[:12]}…, but the manifest says {ref.sha256[:12]}…")
        return path

    def labels(self, model: Model) -> tuple[str, ...]:
        """The class names, in the order of the model's outputs; none for an embedder. Raises BundleError."""
        if model.labels is None:
            return ()
        path = self.path(model.labels.text)
        try:
            labels = tuple(path.read_text(encoding="utf-8").splitlines())
        except UnicodeDecodeError as error:
            raise BundleError(f"{path}: labels are not UTF-8: {error}") from error
        if len(labels) != model.labels.count:
            raise BundleError(f"{path}: {len(labels)} labels, but the manifest says {model.labels.count}")
        return labels

    def golden(self, model: Model) -> GoldenSet | None:
        """The golden set, or None where the bundle has none. Raises BundleError."""
        if model.golden is None:
            return None
        path = self.path(model.golden.archive)
        golden = decode_golden(path.read_bytes(), str(path))
        if len(golden.images) != model.golden.images:
            raise BundleError(f"{path}: {len(golden.images)} images, but the manifest says {model.golden.images}")
        for candidate in model.candidates:
            if golden.images.shape[1:3] != candidate.input.size_hw_px:
                raise BundleError(
                    f"{path}: images of {golden.images.shape[1:3]}, but {candidate.name} takes {candidate.input.size_hw_px}"
                )
        width = model.candidates[0].outputs[0].width
        if model.task in ("classify", "embed") and golden.expected.shape[1] != width:
            raise BundleError(f"{path}: {golden.expected.shape[1]} values a picture, but the candidates give {width}")
        return golden

    def verify(self) -> None:
        """Check every file that the manifest names, and that there is no other.

        Raises:
            BundleError: naming the first file that is missing, altered or not in the manifest.
        """
        files = self.manifest.files()
        for ref in files.values():
            self.path(ref)
        for model in self.manifest.models:
            self.labels(model)
            self.golden(model)
        for path in sorted(self.directory.rglob("*")):
            relative = path.relative_to(self.directory).as_posix()
            if path.is_symlink() or (path.is_file() and relative not in files and relative != MANIFEST_NAME):
                raise BundleError(f"{path}: not named in the manifest", fix="remove it, or export the bundle again")


def open_bundle(directory: Path) -> Bundle:
    """Read and check the manifest; files are checked when they are used (``Bundle.path``) or all at once (``verify``).

    Raises:
        InputMissingError: there is no such directory.
        BundleError: it is no bundle, or one whose manifest this version does not understand.
    """
    if directory.is_file():
        raise BundleError(
            f"{directory}: is a file, but a bundle in use is a directory",
            fix=f"shelfcam bundle unpack {directory} --out DIR, then give that DIR",
        )
    if not directory.is_dir():
        raise InputMissingError(f"{directory}: no such bundle directory")
    path = directory / MANIFEST_NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: not a bundle: {error.strerror or error}") from error
    return Bundle(directory, parse_manifest(content, path), hashlib.sha256(content).hexdigest())


def parse_manifest(content: bytes, path: Path) -> Manifest:
    """Strictly. ``path`` is only named in errors.

    Raises:
        BundleError: not JSON, another schema, an unknown key, a wrong type, or facts that contradict each other.
    """
    try:
        data: Any = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{path}: not JSON: {error}") from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if type(schema) is not int:
        raise BundleError(f"{path}: schema: missing or not a whole number", fix=f"this version reads schema {SCHEMA}")
    if schema != SCHEMA:
        raise BundleError(
            f"{path}: schema {schema} is unknown; this version of shelfcam reads schema {SCHEMA}",
            fix="update shelfcam" if schema > SCHEMA else "export the bundle again",
        )
    manifest = strict.convert(data, Manifest, path, BundleError)
    _check_consistent(manifest, path)
    return manifest


def _check_consistent(manifest: Manifest, path: Path) -> None:
    """What types cannot say: unique names, one truth per file, sensible outputs."""
    _refuse_twice([m.name for m in manifest.models], f"{path}: models")
    seen: dict[str, FileRef] = {}
    for model in manifest.models:
        _refuse_twice([c.name for c in model.candidates], f"{path}: models[{model.name}].candidates")
        if model.task == "classify" and model.labels is None:
            raise BundleError(f"{path}: models[{model.name}].labels: a classifier needs its labels")
        refs = [c.model_file for c in model.candidates]
        refs += [model.labels.text] if model.labels else []
        for ref in refs + ([model.golden.archive] if model.golden else []):
            if seen.setdefault(ref.file, ref) != ref or ref.file == MANIFEST_NAME:
                raise BundleError(f"{path}: {ref.file} is named twice with different sizes or hashes")
        if (model.gate is None) != (model.golden is None):
            raise BundleError(f"{path}: models[{model.name}]: a gate needs a golden set, and a golden set a gate")
        if model.golden is not None and model.golden.images < GOLDEN_MIN_IMAGES:
            raise BundleError(
                f"{path}: models[{model.name}].golden: {model.golden.images} pictures, at least {GOLDEN_MIN_IMAGES} are needed"
            )
        for candidate in model.candidates:
            _check_candidate(candidate, f"{path}: models[{model.name}].candidates[{candidate.name}]")
            if model.task == "classify" and model.labels and candidate.outputs[0].width != model.labels.count:
                raise BundleError(
                    f"{path}: models[{model.name}].candidates[{candidate.name}]: {candidate.outputs[0].width} outputs "
                    f"for {model.labels.count} labels"
                )
            if candidate.outputs[0].width != model.candidates[0].outputs[0].width:
                raise BundleError(f"{path}: models[{model.name}]: candidates give rows of different widths")


def _check_candidate(candidate: Candidate, where: str) -> None:
    if not candidate.outputs:
        raise BundleError(f"{where}: outputs is empty")
    share, precision = candidate.int8_mac_share, candidate.precision
    counted = "int8" if share >= INT8_MAC_SHARE_MIN else "mixed" if share > 0 else "float"
    if counted != ("float" if precision in ("fp32", "fp16") else precision):
        raise BundleError(f"{where}: precision is {precision!r}, but int8_mac_share {share:.3f} makes it {counted}")
    if (candidate.format == "onnx") != (candidate.requires.runtime == "onnxruntime"):
        raise BundleError(
            f"{where}: requires.runtime {candidate.requires.runtime!r} does not run the format {candidate.format!r}"
        )
    normalise = candidate.input.normalise
    if isinstance(normalise, Normalisation) and 0 in normalise.scale:
        raise BundleError(f"{where}: input.normalise.scale holds a 0")


def _refuse_twice(names: list[str], where: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BundleError(f"{where}: the name {twice[0]!r} stands twice")
