"""``shelfcam sort``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from edge import console, models
from edge.commands import options
from edge.errors import DataError
from edge.images import list_images
from edge.sort import UNSURE, sort_images


def sort(
    *,
    images: Annotated[Path, Parameter(help="Directory of photos; folders below it are searched too.")],
    out: Annotated[Path, Parameter(help="Directory for one folder a class; may hold earlier results.")],
    min_score: Annotated[
        float, Parameter(help="Photos whose best class scores less go to _unsure.", validator=validators.Number(gte=0, lte=1))
    ] = 0.5,
    link: Annotated[bool, Parameter(negative="", help="Hard links instead of copies (same file system).")] = False,
    bundle: options.BundleOption = None,
    config: options.ConfigOption = None,
    model: options.ModelOption = None,
    candidate: options.CandidateOption = None,
    threads: options.ThreadsOption = None,
    json: options.JsonOption = False,
) -> None:
    """Sort photos into one folder a class; unsure ones apart; nothing is ever overwritten or moved.

    `sorted.csv` in the output lists the sure ones as `path,label`: after a look by a person it is a labelled set for
    `shelfcam evaluate`. Running it again adds only what is new.

    **Examples**

        shelfcam sort --images stills --out sorted --min-score 0.6
        shelfcam sort --images stills --out sorted --link --json
    """
    site = options.site(config, bundle=bundle, candidate=candidate, model=model, threads=threads)
    paths = [path for path in list_images(images) if not path.resolve().is_relative_to(out.resolve())]
    active = models.load_model(site)
    with console.progress() as bars:
        bar = bars.add_task("sorting", total=len(paths))
        report = sort_images(active, paths, out, min_score=min_score, link=link, advance=lambda: bars.update(bar, advance=1))
    if json:
        console.print_json(report)
    else:
        folders = Counter(UNSURE if item.unsure else item.label for item in report.placed)
        console.print_table(f"{len(report.placed)} photos in {out}", ["folder", ">photos"], sorted(folders.items()))
        console.print_line(f"{report.already_there} were there already, {len(report.unreadable)} cannot be read")
    for reason in report.unreadable:
        console.stderr().print(f"left out: {reason}", soft_wrap=True, markup=False)
    if paths and not report.placed:
        raise DataError(f"{images}: none of its {len(paths)} photos can be read")
