"""``shelfcam choose``."""

from __future__ import annotations

import time
from collections.abc import Sequence

from edge import console, models
from edge.choice.idle import BUSY_SHARE_MAX, busy_share
from edge.choice.loader import choose as decide
from edge.choice.loader import prober_of
from edge.choice.pick import Choice, Row, missing_places
from edge.choice.places import label
from edge.choice.require import require_provider
from edge.commands import options
from edge.errors import GateError
from edge.service.process import settle


def choose(
    *,
    bundle: options.BundleOption = None,
    config: options.ConfigOption = None,
    model: options.ModelOption = None,
    threads: options.ThreadsOption = None,
    json: options.JsonOption = False,
) -> None:
    """Measure every candidate on this machine now, and remember the fastest that passes its gate.

    Each candidate runs in a process of its own, in alternating rounds: on the CPU, and on the first of TensorRT (half precision
    first), CUDA, XNNPACK and ACL that is installed and passes there. Building a TensorRT engine may take minutes, once.
    `shelfcam run` does the same by itself beside the loop; this command does it at once and shows the table. A candidate that failed
    its trial before is tried again. Exit code 65 if no candidate passes.

    **Examples**

        shelfcam choose
        shelfcam choose --bundle my-bundle --threads 2 --json
    """
    site = options.site(config, bundle=bundle, model=model, threads=threads)
    opened = models.find_bundle(site)
    found = models.find_model(opened, site.model.name)
    settle(site.model.affinity, site.model.nice)
    require_provider(models.wanted(site), found)
    loader = models.build_loader(site, opened, found)
    busy = busy_share(time.sleep)
    if busy > BUSY_SHARE_MAX:
        console.stderr().print(
            f"the machine is {busy:.0%} busy with other work: the latencies are not what it can do", style="yellow"
        )
    with console.progress() as bars:
        bar = bars.add_task("measuring", total=None)
        rows = prober_of(loader, again=True).measure(
            lambda name, done, total: bars.update(bar, description=f"measuring {name}", completed=done, total=total)
        )
    for place, reason in missing_places(rows).items():
        console.stderr().print(f"{place} is not used: {reason}", style="yellow", markup=False, soft_wrap=True)
    title = f"{found.name}, {loader.threads} threads"
    try:
        choice = decide(found, rows, loader.wanted)
    except GateError:
        _print_rows(rows, title)
        raise
    if json:
        console.print_json(choice)
    else:
        _print_choice(choice, title)
    models.choice_store(site).remember(loader.key, choice)


def _print_choice(choice: Choice, title: str) -> None:
    _print_rows(choice.rows, title, chosen=(choice.candidate, choice.place))
    console.stdout().print(
        console.styled(label(choice.candidate, choice.place), "bold"), f": {choice.reason}", sep="", soft_wrap=True
    )


def _print_rows(rows: Sequence[Row], title: str, *, chosen: tuple[str, str] | None = None) -> None:
    lines = [
        (
            ("→ " if (row.candidate, row.place) == chosen else "  ") + row.candidate,
            row.place,
            row.precision,
            f"{row.bytes / 1e6:.2f}",
            console.milliseconds(row.p50_ms),
            console.milliseconds(row.p90_ms),
            console.ratio(row.logit_cosine),
            console.ratio(row.top1_agreement),
            "cannot be had here" if row.missing else row.reason,
        )
        for row in rows
    ]
    columns = ["  candidate", "provider", "precision", ">MB", ">p50 ms", ">p90 ms", ">cosine", ">agreement", "gate here"]
    console.print_table(title, columns, lines, console=console.stdout() if chosen else console.stderr())
