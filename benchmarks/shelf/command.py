"""``shelfcam bench shelf``: scripted shelves through the real loop, with the truth beside them, and what watching costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from benchmarks.loop.parts import Findings
from benchmarks.peers.envs import default_folder
from benchmarks.record.facts import Subject
from benchmarks.record.host import conditions_between, read_busyness
from benchmarks.shelf import parts as shelf_parts
from benchmarks.shelf import show as shelf_report
from benchmarks.shelf.parts import PARTS, Plan, Played, ShelfReport
from edge import console, models
from edge.board.boards import thread_count
from edge.commands import options
from edge.errors import UsageError
from edge.scene.script import SCRIPTS


def shelf_command(
    *,
    bundle: options.BundleOption = None,
    photos: Annotated[
        Path | None, Parameter(help="Directory with a folder of photos a product; without it drawn ones.")
    ] = None,
    scripts: Annotated[str, Parameter(help=f"With commas, of {', '.join(SCRIPTS)}.")] = "goods,mixed,faults",
    seeds: Annotated[str, Parameter(help="With commas: each script is played once a seed.")] = "1,2,3",
    minutes: Annotated[
        float | None, Parameter(help="Length of a script; 5, quick 1.", validator=validators.Number(gt=0))
    ] = None,
    fps: Annotated[float, Parameter(help="Frames a second of the scripts.", validator=validators.Number(gt=0))] = 10.0,
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
    parts = _names(only, PARTS, "--only", "part")
    site = options.site(None, bundle=bundle, threads=threads)
    opened = models.find_bundle(site)
    model = models.find_model(opened, site.model.name)
    active = models.load_model(site)
    subject = Subject(opened, model, models.find_candidate(model, active.candidate), thread_count(site.model.threads))
    plan = Plan(
        subject=subject,
        model=active,
        photos=photos,
        scripts=_names(scripts, SCRIPTS, "--scripts", "script"),
        seeds=_numbers(seeds),
        minutes=minutes or (1.0 if quick else 5.0),
        fps=fps,
        rounds=3 if quick else 17,
        frames=frames or (5_000 if quick else 100_000),
        envs=envs or default_folder(),
        quick=quick,
    )
    report = measure(plan, parts, quick=quick)
    active.backend.close()
    if json:
        console.print_json(report)
    else:
        shelf_report.show(report)


def measure(plan: Plan, parts: tuple[str, ...], *, quick: bool) -> ShelfReport:
    """The parts one after the other, so that none disturbs another. Raises ShelfcamError."""
    found = Findings()
    played: tuple[Played, ...] = ()
    with console.progress() as bars:
        bar = bars.add_task("", total=None)

        def say(text: str) -> None:
            bars.update(bar, description=text)

        before = read_busyness()
        if "scripts" in parts:
            played = shelf_parts.scripts(plan, found, say)
        for name in PARTS[1:]:
            if name in parts:
                getattr(shelf_parts, name)(plan, found, say)
        conditions = conditions_between(before, read_busyness())
    return ShelfReport(
        bench="shelf",
        quick=quick,
        records=tuple(found.records),
        ratios=tuple(found.ratios),
        checks=tuple(found.checks),
        conditions=conditions,
        played=played,
    )


def _names(text: str, known: tuple[str, ...], option: str, what: str) -> tuple[str, ...]:
    names = tuple(item.strip() for item in text.split(",") if item.strip())
    for name in names:
        if name not in known:
            raise UsageError(f"{option}: no {what} {name!r}", fix=f"there are {', '.join(known)}")
    return names


def _numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",") if word.strip()]
    except ValueError as error:
        raise UsageError(f"--seeds {text!r}: whole numbers with commas") from error
