"""``shelfcam bench shelf``: scripted shelves through the real loop, with the truth beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from benchmarks.shelf_play import COLUMNS, ROUNDS, ROWS, Wanted, busy_shares, idle_shares, play
from benchmarks.shelf_score import ShelfScore
from edge import app, console
from edge.commands import options
from edge.errors import UsageError
from edge.scene.script import SCRIPTS


@dataclass(frozen=True, slots=True)
class Played:
    """One script through the loop."""

    script: str
    seed: int
    minutes: float
    score: ShelfScore


def shelf_command(
    *,
    bundle: options.BundleOption = None,
    photos: Annotated[
        Path | None, Parameter(help="Directory with a folder of photos a product; without it drawn ones.")
    ] = None,
    scripts: Annotated[str, Parameter(help=f"With commas, of {', '.join(SCRIPTS)}.")] = "goods,mixed,faults",
    seeds: Annotated[str, Parameter(help="With commas: each script is played once a seed.")] = "1,2,3",
    minutes: Annotated[float, Parameter(help="Length of a script.")] = 5.0,
    fps: Annotated[float, Parameter(help="Frames a second.")] = 10.0,
    threads: options.ThreadsOption = None,
    json: options.JsonOption = False,
) -> None:
    """Play scripted shelves through the real loop and hold its events against the truth; then what an idle and a busy one cost.

    Goods are taken, returned, swapped and restocked by a hand; people pass; light flickers, steps and fades; the camera is covered,
    blurred, bumped, blinded and frozen. Twelve slots, 1280×720.

    **Examples**

        shelfcam bench shelf --photos photos/
        shelfcam bench shelf --scripts quiet --minutes 60 --fps 5 --seeds 1
    """
    names = [name.strip() for name in scripts.split(",") if name.strip()]
    unknown = [name for name in names if name not in SCRIPTS]
    if unknown:
        raise UsageError(f"--scripts: no script {unknown[0]!r}", fix=f"there are {', '.join(SCRIPTS)}")
    numbers = _numbers(seeds)
    site = options.site(None, bundle=bundle, threads=threads)
    model = app.load_model(site)
    played = []
    with console.progress() as bars:
        bar = bars.add_task("playing", total=len(names) * len(numbers) + 2 * ROUNDS + 1)
        for name in names:
            for seed in numbers:
                bars.update(bar, description=f"{name}, seed {seed}")
                played.append(Played(name, seed, minutes, play(Wanted(name, seed, minutes * 60, fps, photos), model)))
                bars.update(bar, advance=1)
        bars.update(bar, description="idle shelf")
        idle = idle_shares(model, photos, lambda: bars.update(bar, advance=1))
        bars.update(bar, description="all slots changing")
        busy = busy_shares(model, photos, lambda: bars.update(bar, advance=1))
    model.backend.close()
    if json:
        medians = {"idle_cpu_share": float(np.median(idle)), "busy_share_of_bare": float(np.median(busy))}
        console.print_json({"played": played, **medians, "idle_cpu_shares": idle, "busy_shares_of_bare": busy})
    else:
        _show(played, idle, busy)


def _show(played: list[Played], idle: list[float], busy: list[float]) -> None:
    rows = []
    for one in played:
        s = one.score
        rows.append(
            (
                f"{one.script}, seed {one.seed}",
                f"{one.minutes:g}",
                s.true,
                s.told,
                s.right,
                f"{s.named} of {s.right}",
                f"{s.faults_told} of {s.faults}",
                s.false_faults,
                s.empty_lies,
            )
        )
    columns = ["script", ">minutes", ">true events", ">told", ">right", ">with the right product", ">faults told in 5 s"]
    console.print_table("Scripted shelves", [*columns, ">false faults", ">called empty unseen"], rows)
    right, true, told = (sum(getattr(one.score, key) for one in played) for key in ("right", "true", "told"))
    out = console.stdout()
    if true and told:
        out.print(f"recall {right / true:.3f}, precision {right / told:.3f} over {true} events")
    out.print(
        f"idle shelf of {ROWS * COLUMNS} slots: {np.median(idle):.1%} of the CPU time of the loop without a gate "
        f"({min(idle):.1%} to {max(idle):.1%} over {len(idle)} rounds)",
        soft_wrap=True,
    )
    out.print(
        f"all slots changing: {np.median(busy):.3f} of the bare backend's slots a second on the same batches "
        f"({min(busy):.3f} to {max(busy):.3f})",
        soft_wrap=True,
    )
    for one in played:
        for missed in one.score.missed:
            out.print(f"{one.script}, seed {one.seed}: missed {missed}", soft_wrap=True, markup=False)
        for time_s, event in one.score.invented:
            said = f"{event.slot} {event.type} {event.before} → {event.after}"
            out.print(f"{one.script}, seed {one.seed}: invented at {time_s:.1f} s: {said}", soft_wrap=True, markup=False)
        for fault in one.score.unseen:
            out.print(f"{one.script}, seed {one.seed}: not told {fault}", soft_wrap=True, markup=False)


def _numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",") if word.strip()]
    except ValueError as error:
        raise UsageError(f"--seeds {text!r}: whole numbers with commas") from error
