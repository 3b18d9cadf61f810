"""``shelfcam evaluate``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from edge import console, models
from edge.commands import options
from edge.config import AUTO
from edge.evaluate import TOP_K, Evaluation, read_list
from edge.evaluate import evaluate as run_evaluation

_SHOWN = 12  # lines of the per-class and confusion tables; --json has all


def evaluate(
    *,
    images: Annotated[Path, Parameter(help="Directory that the list's paths are below.")],
    list_: Annotated[Path, Parameter(name="--list", help="CSV with the columns path,label (label text as in labels.txt).")],
    bundle: options.BundleOption = None,
    config: options.ConfigOption = None,
    model: options.ModelOption = None,
    candidate: options.CandidateOption = None,
    threads: options.ThreadsOption = None,
    json: options.JsonOption = False,
) -> None:
    """Top-1, top-5, per class, confusion, and how far the candidates agree, on labelled pictures.

    Without `--candidate` every candidate is evaluated. Pictures that cannot be read are listed and left out.

    **Examples**

        shelfcam evaluate --bundle my-bundle --images photos --list photos.csv
        shelfcam evaluate --images photos --list photos.csv --candidate onnx-int8 --json
    """
    site = options.site(config, bundle=bundle, candidate=candidate, model=model, threads=threads)
    opened = models.find_bundle(site)
    found = models.find_model(opened, site.model.name)
    site = msgspec.structs.replace(site, model=msgspec.structs.replace(site.model, top_k=TOP_K))
    loader = models.build_loader(site, opened, found)
    names = found.candidates if site.model.candidate == AUTO else (models.find_candidate(found, site.model.candidate),)
    labels = opened.labels(found)
    samples = read_list(list_, labels)
    with console.progress() as bars:
        bar = bars.add_task("evaluating", total=len(samples) * len(names))
        result = run_evaluation(
            [partial(loader.load, c) for c in names], labels, samples, images, lambda: bars.update(bar, advance=1)
        )
    if json:
        console.print_json(result)
    else:
        _print(result)


def _print(result: Evaluation) -> None:
    rows = [(c.candidate, c.images, f"{c.top1:.2%}", f"{c.top5:.2%}") for c in result.candidates]
    console.print_table("Accuracy", ["candidate", ">images", ">top-1", ">top-5"], rows)
    for pair, share in result.agreement.items():
        console.print_line(f"agreement {pair}: {share:.2%}")
    first = result.candidates[0]
    worst = sorted(first.per_class, key=lambda c: (c.top1, -c.images))[:_SHOWN]
    console.print_table(
        f"Weakest classes, {first.candidate}",
        ["label", ">images", ">top-1"],
        [(c.label, c.images, f"{c.top1:.2%}") for c in worst],
    )
    wrong = [c for c in first.confusion if c.label != c.predicted][:_SHOWN]
    console.print_table(
        f"Most frequent mistakes, {first.candidate}",
        ["label", "called", ">count"],
        [(c.label, c.predicted, c.count) for c in wrong],
    )
    for item in result.unreadable:
        console.stderr().print(f"left out: {item.reason}", soft_wrap=True, markup=False)
