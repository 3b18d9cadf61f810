"""How fast each candidate is on this machine: the very measurement that a camera chooses by."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge.bundle.reader import Bundle, open_bundle
from edge.bundle.writer import BundleWriter
from edge.choice.measure import ROUNDS, RUNS, Prober
from edge.manifest import SCHEMA, Answer, Candidate, FileRef, Labels, Manifest, Model, Provenance, TaskName
from export.progress import Progress, silent
from export.report.content import Latency
from export.tasks import DEFAULT_TASK, task_of

if TYPE_CHECKING:
    from export.candidates import Draft


def measure_latency(
    drafts: Sequence[Draft],
    *,
    task: TaskName = DEFAULT_TASK,
    threads: int,
    progress: Progress = silent,
    rounds: int = ROUNDS,
    runs: int = RUNS,
) -> dict[str, Latency]:
    """Milliseconds of one picture, by plan's name: rounds that alternate between the candidates, each in a process of its own
    (``edge.choice.measure``), over a bundle that is thrown away. A candidate that cannot run here is a result with its reason.

    Raises:
        SinkError: there is no room for the files.
    """
    if not drafts:
        return {}
    with tempfile.TemporaryDirectory(prefix="shelfcam-") as folder:
        bundle = _bundle(drafts, task, Path(folder) / "bundle")
        model = bundle.manifest.models[0]
        advance = progress("latency", rounds * len(drafts))
        prober = Prober(bundle, model, threads)
        rows = prober.measure(lambda *_: advance(), rounds=rounds, runs=runs)
    return {
        draft.plan.name: Latency(row.p50_ms, row.p90_ms, None if row.passes else row.reason)
        for draft, row in zip(drafts, rows, strict=True)
    }


def _bundle(drafts: Sequence[Draft], task: TaskName, directory: Path) -> Bundle:
    """Candidates are numbered: repaired ones may share a name, or have one that a manifest refuses."""
    width = drafts[0].candidate.outputs[0].width
    with BundleWriter(directory) as writer:
        files: dict[Path, FileRef] = {}
        for number, draft in enumerate(drafts):
            if draft.path not in files:
                files[draft.path] = writer.add(f"c{number}.{draft.candidate.format}", draft.path)
        labels = None
        if task_of(task).has_labels:
            text = writer.add("labels.txt", "".join(f"{i}\n" for i in range(width)).encode())
            labels = Labels(text=text, count=width)
        entry = Model(
            name="model",
            weights="random",
            answers=(Answer(name=task, task=task, labels=labels, golden=None, gate=None),),
            candidates=tuple(_numbered(number, draft.candidate, files[draft.path]) for number, draft in enumerate(drafts)),
        )
        tools = Provenance(created_utc="1970-01-01T00:00:00Z", command="", tools={})
        writer.finish(Manifest(schema=SCHEMA, name="latency", models=(entry,), provenance=tools))
    return open_bundle(directory)


def _numbered(number: int, candidate: Candidate, file: FileRef) -> Candidate:
    return msgspec.structs.replace(candidate, name=f"c{number}", model_file=file, quality=())
