"""The cache of TensorRT engines: a directory for each engine that may be used again, the least recently used removed first.

ONNX Runtime's own check of a cached engine looks at shapes only, and its documentation asks to remove engines when the model, the
runtime, TensorRT or the GPU change (https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html#tensorrt-ep-caches):
so all of these make the directory's name. An engine is code that runs on the GPU: only its user may write there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from edge.backends.installed import accelerator_facts, runtime_versions
from edge.data import Provider
from edge.errors import ProviderError
from edge.manifest import Candidate

MAX_BYTES = 512_000_000
"""Of all engines of a camera. An engine is about as large as the weights that it holds, and a candidate has less than 20 MB."""


def engine_directory(root: Path, candidate: Candidate, provider: Provider) -> Path:
    """Where the engine of this file is, or will be, on this GPU and with these versions. Touches nothing."""
    facts = [candidate.model_file.sha256, candidate.name, provider]
    facts += [f"{key}={value}" for key, value in {**runtime_versions(), **accelerator_facts()}.items()]
    return root / hashlib.sha256("\n".join(facts).encode()).hexdigest()[:24]


def is_built(directory: Path) -> bool:
    """Whether an engine is there, so that loading takes seconds rather than minutes."""
    return any(directory.glob("*.engine"))


def open_directory(directory: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Make ``directory`` for its user alone, mark it as used now, and remove others until all together fit into ``max_bytes``.

    Made by root (``sudo shelfcam choose``), it belongs to whoever owns the state directory: the service goes on with it.

    Raises:
        ProviderError: it cannot be made, or somebody else could write there.
    """
    root = directory.parent
    fix = f"remove {root}; it is built again"
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        owner = root.parent.stat()
        for path in (root, directory):
            if path.is_symlink():  # others than ours would be pruned
                raise ProviderError(f"{path}: is a symbolic link, so no engine is kept there", fix=fix)
            if not path.exists():
                path.mkdir(mode=0o700)
                if os.geteuid() == 0:
                    os.chown(path, owner.st_uid, owner.st_gid)
            found = path.stat()
            if found.st_mode & 0o022 or found.st_uid not in (os.geteuid(), owner.st_uid):
                raise ProviderError(f"{path}: others may write there, so no engine is loaded from it", fix=fix)
        os.utime(directory)
        _prune(root, directory, max_bytes)
    except OSError as error:
        raise ProviderError(f"{directory}: engines cannot be kept there: {error.strerror or error}", fix=fix) from error


def _prune(root: Path, keep: Path, max_bytes: int) -> None:
    total = 0
    for path in sorted((p for p in root.iterdir() if p.is_dir()), key=lambda p: (p != keep, -p.stat().st_mtime)):
        total += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        if total > max_bytes and path != keep:
            shutil.rmtree(path)
