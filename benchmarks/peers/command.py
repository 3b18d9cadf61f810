"""``shelfcam bench compare``: the same network, frames, cores and threads in our loop and backend, and in everybody else's runtime."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from benchmarks.peers.candidates import pick_candidates, with_fp32
from benchmarks.peers.contest import ContestSettings, contest
from benchmarks.peers.contestants import PEERS, Peer, find_peers
from benchmarks.peers.entries import Entry, Maker
from benchmarks.peers.envs import Environment, default_folder, find_environment, how_to_install, install
from benchmarks.peers.judge import JudgedEntry, judge, ratios
from benchmarks.peers.show import show_comparison
from benchmarks.record.arguments import AT_LEAST_ONE, POSITIVE
from benchmarks.record.draft import ProgressBar, ReportDraft, Say
from benchmarks.record.facts import Placed
from benchmarks.record.schema import Missing, Report
from edge import console, models
from edge.bundle.reader import open_bundle
from edge.commands import options
from edge.config import AUTO, MAX_THREADS
from edge.errors import BackendError, UsageError


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison: everyone who took part to the end, and the others with the reason."""

    judged: list[JudgedEntry]
    missing: list[Missing]


def compare_command(
    *,
    bundle: options.BundleOption = None,
    model: options.ModelOption = None,
    candidates: Annotated[
        str,
        Parameter(
            help="With commas, the chosen one first; auto: what shelfcam choose finds, and an int8 ONNX, a TFLite and an fp32 ONNX one."
        ),
    ] = AUTO,
    fp32_bundle: Annotated[Path | None, Parameter(help="Bundle with an fp32 ONNX candidate of the same model.")] = None,
    peers: Annotated[str, Parameter(help="With commas; all: every one that there is.")] = "all",
    envs: Annotated[
        Path | None, Parameter(help="Folder with a Python environment a peer; by default ~/.cache/shelfcam/peers.")
    ] = None,
    install: Annotated[
        bool, Parameter(name="--install", negative="", help="First make the absent environments, with pip.")
    ] = False,
    threads: Annotated[int, Parameter(help="Threads, and cores that all are held to.", validator=AT_LEAST_ONE)] = 1,
    rounds: Annotated[int | None, Parameter(help="Alternating rounds; 7, quick 3.", validator=AT_LEAST_ONE)] = None,
    seconds_per_round: Annotated[float | None, Parameter(help="Of one contestant; 2, quick 0.3.", validator=POSITIVE)] = None,
    starts: Annotated[int | None, Parameter(help="Timed starts of each; 5, quick 1.", validator=AT_LEAST_ONE)] = None,
    quick: Annotated[bool, Parameter(negative="", help="Fewer and shorter rounds: a look, not a figure to quote.")] = False,
    json: options.JsonOption = False,
) -> None:
    """Our loop and our bare backend beside ONNX Runtime, LiteRT, tflite-runtime, OpenCV DNN, MediaPipe, OpenVINO and ncnn.

    All run the same network on the same pictures, each in a process and an environment of its own, pinned to the same cores, in
    alternating rounds. "loop": from a 640×480 RGB frame to the best five classes; "bare": one inference of a batch that is ready.
    A peer is held against our loop or backend only if it gives the same answers. Absent peers are listed with the pip line.
    Everyone stays loaded: about 100 MB of memory a line of the table.

    **Examples**

        shelfcam bench compare --install
        shelfcam bench compare --peers mediapipe,openvino --quick
        shelfcam bench compare --bundle my-bundle --fp32-bundle my-bundle --threads 2 --json
    """
    opened = open_bundle(models.bundle_directory(str(bundle or models.DEFAULT_BUNDLE)))
    chosen_model = models.find_model(opened, model)
    settings = make_settings(
        threads, rounds or (3 if quick else 7), seconds_per_round or (0.3 if quick else 2.0), starts, quick
    )
    draft = ReportDraft()
    with ProgressBar() as progress:

        def say(text: str) -> None:
            (progress.now if text.startswith("round") else progress.both)(text)

        environments, absent = find_environments(find_peers(peers), envs or default_folder(), make=install, say=say)
        places = pick_candidates(opened, chosen_model, candidates, threads, say)
        places = with_fp32(places, fp32_bundle)
        compared = compare(lambda maker: everyone(maker, places), settings, environments, say, progress.at)
    draft.records += [one.record for one in compared.judged]
    draft.ratios += ratios(compared.judged, places[0].candidate.name)
    draft.missing += [*absent, *compared.missing]
    report = draft.finish(Report, "compare", quick=quick)
    if json:
        console.print_json(report)
    else:
        show_comparison(report)


def make_settings(threads: int, rounds: int, seconds: float, starts: int | None, quick: bool) -> ContestSettings:
    """The last ``threads`` CPUs that this process may use (the first ones take most interrupts). Raises UsageError."""
    allowed = sorted(os.sched_getaffinity(0))
    if threads > min(len(allowed), MAX_THREADS):
        raise UsageError(
            f"--threads {threads}: this process may use {len(allowed)} CPUs", fix="every thread gets a core of its own"
        )
    return ContestSettings(threads, tuple(allowed[-threads:]), rounds, seconds, starts or (1 if quick else 5))


def find_environments(
    peers: Sequence[Peer], folder: Path, *, make: bool, say: Say
) -> tuple[dict[str, Environment], list[Missing]]:
    """By peer; and the absent ones with the pip line. With ``make``, environments of their own are installed first, or completed."""
    found, absent = {}, []
    for peer in peers:
        if make:
            say(f"installing {peer.name}")
            try:
                install(folder, peer)
            except BackendError as error:
                absent.append(Missing(name=peer.name, reason=f"{error}; {how_to_install(folder, peer)}"))
                continue
        environment = find_environment(folder, peer)
        if environment is None:
            absent.append(Missing(name=peer.name, reason=how_to_install(folder, peer)))
        else:
            found[peer.name] = environment
    return found, absent


def everyone(maker: Maker, places: Sequence[Placed]) -> list[Entry]:
    """Our loop and backend with every candidate, and every peer on every candidate that it can read."""
    entries: list[Entry] = []
    for placed in places:
        entries += [maker.ours(placed, "loop"), maker.ours(placed, "bare")]
        entries += [entry for peer in PEERS if (entry := maker.peer(placed, peer)) is not None]
    return entries


def compare(
    enter: Callable[[Maker], list[Entry]],
    settings: ContestSettings,
    environments: dict[str, Environment],
    say: Say,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Make the entries that ``enter`` wants, let them run in turn, and judge them."""
    with tempfile.TemporaryDirectory(prefix="shelfcam-peers-") as place:
        maker = Maker(Path(place), settings.threads, environments, sys.executable)
        entries = enter(maker)
        total, done = len(entries) * (1 + settings.rounds), 0

        def advance() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, total)

        judged, failed = judge(contest(entries, settings, say, advance), settings)
    return Comparison(judged, [*maker.missing, *failed])
