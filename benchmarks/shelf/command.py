"""``shelfcam bench shelf``: scripted shelves through the real loop, with the truth beside them, and what watching costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from benchmarks.peers.envs import default_folder
from benchmarks.record.arguments import POSITIVE, parse_counts, parse_known
from benchmarks.record.draft import ProgressBar, ReportDraft
from benchmarks.record.facts import Subject
from benchmarks.shelf import parts
from benchmarks.shelf.parts import PARTS, Played, ShelfPlan, ShelfReport
from benchmarks.shelf.show import show_shelf
from edge import console, models
from edge.board.boards import thread_count
from edge.commands import options
from edge.scene.script import SCRIPTS


def shelf_command(
    *,
    bundle: options.BundleOption = None,
    photos: Annotated[
        Path | None, Parameter(help="Directory with a folder of photos a product; without it drawn ones.")
    ] = None,
    scripts: Annotated[str, Parameter(help=f"With commas, of {', '.join(SCRIPTS)}.")] = "goods,mixed,faults",
    seeds: Annotated[str, Parameter(help="With commas: each script is played once a seed.")] = "1,2,3",
    minutes: Annotated[float | None, Parameter(help="Length of a script; 5, quick 1.", validator=POSITIVE)] = None,
    fps: Annotated[float, Parameter(help="Frames a second of the scripts.", validator=POSITIVE)] = 10.0,
    frames: Annotated[
        int | None, Parameter(help="Frames of the memory run; 100000, quick 5000.", validator=validators.Number(gte=600))
    ] = None,
    only: Annotated[str, Parameter(help=f"Parts to measure, with commas: {', '.join(PARTS)}.")] = ",".join(PARTS),
    quick: Annotated[bool, Parameter(negative="", help="Shorter: a look, not a figure to quote.")] = False,
    envs: Annotated[
        Path | None, Parameter(help="Folder of the peers' environments; `shelfcam bench compare --install` makes them.")
    ] = None,
    threads: options.ThreadsOption = None,
    json: options.JsonOption = False,
) -> None:
    """Scripted shelves through the real loop, held against the truth; what an idle and a busy one cost; how soon an event is there; whether
    memory stays flat; how fast the loop is beside MediaPipe's classifier and a plain loop.

    Goods are taken, returned, swapped and restocked by a hand; people pass; light flickers, steps and fades; the camera is covered,
    blurred, bumped, blinded and frozen. Twelve slots, 1280×720. A missed target is a result, not a failure: the exit code is 0.

    **Examples**

        shelfcam bench shelf --photos photos/
        shelfcam bench shelf --only latency,memory
        shelfcam bench shelf --only scripts --scripts quiet --minutes 60 --fps 5 --seeds 1
    """
    names = parse_known("--only", only, PARTS)
    site = options.site(None, bundle=bundle, threads=threads)
    opened = models.find_bundle(site)
    model = models.find_model(opened, site.model.name)
    active = models.load_model(site)
    subject = Subject(opened, model, models.find_candidate(model, active.candidate), thread_count(site.model.threads))
    plan = ShelfPlan(
        subject=subject,
        model=active,
        photos=photos,
        scripts=parse_known("--scripts", scripts, SCRIPTS),
        seeds=parse_counts("--seeds", seeds, least=0),
        minutes=minutes or (1.0 if quick else 5.0),
        fps=fps,
        rounds=3 if quick else 17,
        frames=frames or (5_000 if quick else 100_000),
        envs=envs or default_folder(),
        quick=quick,
    )
    report = measure(plan, names, quick=quick)
    active.backend.close()
    if json:
        console.print_json(report)
    else:
        show_shelf(report)


def measure(plan: ShelfPlan, names: tuple[str, ...], *, quick: bool) -> ShelfReport:
    """The parts one after the other, so that none disturbs another. Raises ShelfcamError."""
    played: tuple[Played, ...] = ()
    with ProgressBar() as progress:
        draft = ReportDraft()
        if "scripts" in names:
            played = parts.scripts(plan, draft, progress.now)
        for name in PARTS[1:]:
            if name in names:
                getattr(parts, name)(plan, draft, progress.now)
        return draft.finish(ShelfReport, "shelf", quick=quick, played=played)
