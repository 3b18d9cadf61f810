"""The peers: what each runs, what it is fed, and what has to be installed for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from edge.choice.keys import installed_versions
from edge.errors import UsageError

Kind = Literal["bare", "loop"]
"""``bare``: a query is one inference of a batch that is ready. ``loop``: from a 640×480 RGB frame to the best five classes."""

Feed = Literal["file", "float", "ncnn"]
"""Which file: the candidate's own; an ONNX file of the same weights that takes normalised float32 1×3×H×W; that, converted for ncnn."""

OURS = "shelfcam"


@dataclass(frozen=True, slots=True)
class Peer:
    """``name`` is also its environment's folder. ``requirements``: pip's words; a name without a version gets the one that is installed
    beside shelfcam, so that a runtime is compared with itself. ``tools``: installed with --no-deps, to convert files, and not counted.
    ``runtime``: the distributions whose bytes are "the runtime"."""

    name: str
    worker: str
    kind: Kind
    format: Literal["onnx", "tflite"]
    feed: Feed
    requirements: tuple[str, ...]
    runtime: tuple[str, ...]
    tools: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    note: str = ""

    def pinned(self) -> tuple[str, ...]:
        """The requirements with the versions to install."""
        here = installed_versions(self.requirements)
        return tuple(f"{one}=={here[one]}" if one in here else one for one in self.requirements)

    def pip_lines(self, python: str) -> tuple[str, ...]:
        """What installs it, for a person."""
        lines = [f"{python} -m pip install {_quoted(self.pinned())}"]
        if self.tools:
            lines.append(f"{python} -m pip install --no-deps {_quoted(self.tools)}")
        return tuple(lines)


_LITERT = {"module": "ai_edge_litert.interpreter", "package": "ai-edge-litert"}
_TFLITE = {"module": "tflite_runtime.interpreter", "package": "tflite-runtime"}
_OPENCV = "opencv-python-headless"

PEERS: tuple[Peer, ...] = (
    Peer("onnxruntime", "onnxruntime_worker.py", "bare", "onnx", "file", ("onnxruntime", "numpy"), ("onnxruntime",)),
    Peer(
        "opencv-onnxruntime",
        "opencv_loop_worker.py",
        "loop",
        "onnx",
        "float",
        ("onnxruntime", "numpy", _OPENCV),
        ("onnxruntime", _OPENCV),
        note="INTER_AREA, float32 normalisation and transposition in the loop, ONNX Runtime on a float32 input",
    ),
    Peer(
        "litert",
        "tflite_worker.py",
        "bare",
        "tflite",
        "file",
        ("ai-edge-litert", "numpy"),
        ("ai-edge-litert",),
        options=_LITERT,
    ),
    Peer(
        "tflite-runtime",
        "tflite_worker.py",
        "bare",
        "tflite",
        "file",
        ("tflite-runtime==2.14.0", "numpy<2"),
        ("tflite-runtime",),
        options=_TFLITE,
    ),
    Peer("opencv-dnn", "opencv_dnn_worker.py", "bare", "onnx", "float", (_OPENCV, "numpy"), (_OPENCV,)),
    Peer(
        "mediapipe",
        "mediapipe_worker.py",
        "loop",
        "tflite",
        "file",
        ("mediapipe==1.2.3",),
        ("mediapipe",),
        note="ImageClassifier, VIDEO mode; it takes no thread count and is held by its cores alone; it stretches the whole frame, "
        "ours looks at the part that the manifest says",
    ),
    Peer("openvino", "openvino_worker.py", "bare", "onnx", "file", ("openvino==2026.4.1", "numpy"), ("openvino",)),
    Peer(
        "ncnn",
        "ncnn_worker.py",
        "bare",
        "onnx",
        "ncnn",
        ("ncnn==1.0.20261020", "numpy"),
        ("ncnn",),
        tools=("pnnx==20261020",),
        note="converted by pnnx, weights stored in fp16",
    ),
)


def find_peers(text: str) -> tuple[Peer, ...]:
    """Those named, with commas; "all" for all. Raises UsageError listing what there is."""
    by_name = {peer.name: peer for peer in PEERS}
    names = list(by_name) if text.strip() == "all" else [word.strip() for word in text.split(",") if word.strip()]
    for name in names:
        if name not in by_name:
            raise UsageError(f"--peers: unknown peer {name!r}", fix=f"peers are: all, or {', '.join(by_name)}")
    if not names:
        raise UsageError("--peers: none named", fix=f"peers are: all, or {', '.join(by_name)}")
    return tuple(by_name[name] for name in dict.fromkeys(names))


def _quoted(requirements: Sequence[str]) -> str:
    return " ".join(f"'{one}'" if set(one) & set("<>; ") else one for one in requirements)
