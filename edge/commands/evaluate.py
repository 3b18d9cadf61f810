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
from edge.errors import UsageError
from edge.evaluate import Evaluation, listed_labels, read_list
from edge.evaluate import evaluate as run_evaluation
from edge.manifest import Answer, Model
from edge.tasks.classify import TOP_K

_TITLES = {"top1": "top-1", "top5": "top-5", "recall_at_1": "recall@1"}
_SHOWN = 12  # lines of the per-class and confusion tables; --json has all


def evaluate(
    *,
    images: Annotated[Path, Parameter(help="Directory that the list's paths are below.")],
    list_: Annotated[Path, Parameter(name="--list", help="CSV with the columns path,label (label text as in labels.txt).")],
    bundle: options.BundleOption = None,
    config: options.ConfigOption = None,
    model: options.ModelOption = None,
    candidate: options.CandidateOption = None,
    answer: Annotated[str | None, Parameter(help="Which of the model's answers; by default the first.")] = None,
    threads: options.ThreadsOption = None,
    json: options.JsonOption = False,
) -> None:
    """How well a bundle does on labelled pictures: top-1 and top-5, or of an embedder recall at 1; per class, confusion, agreement.

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
    asked = _find_answer(found, answer)
    labels = opened.labels(asked) or listed_labels(list_)
    samples = read_list(list_, labels)
    with console.progress() as bars:
        bar = bars.add_task("evaluating", total=len(samples) * len(names))
        result = run_evaluation(
            [partial(loader.load, c) for c in names],
            asked,
            labels,
            samples,
            images,
            advance=lambda: bars.update(bar, advance=1),
        )
    if json:
        console.print_json(result)
    else:
        _print(result)


def _find_answer(model: Model, name: str | None) -> Answer:
    found = next((answer for answer in model.answers if name in (None, answer.name)), None)
    if found is None:
        raise UsageError(
            f"model {model.name!r} has no answer {name!r}", fix=f"name one of: {', '.join(a.name for a in model.answers)}"
        )
    return found


def _print(result: Evaluation) -> None:
    names = list(result.candidates[0].scores)
    rows = [(c.candidate, c.images, *(f"{c.scores[name]:.2%}" for name in names)) for c in result.candidates]
    console.print_table("Accuracy", ["candidate", ">images", *(f">{_TITLES[name]}" for name in names)], rows)
    for pair, share in result.agreement.items():
        console.print_line(f"agreement {pair}: {share:.2%}")
    first = result.candidates[0]
    worst = sorted(first.per_class, key=lambda c: (c.recall, -c.images))[:_SHOWN]
    console.print_table(
        f"Weakest classes, {first.candidate}",
        ["label", ">images", ">recall"],
        [(c.label, c.images, f"{c.recall:.2%}") for c in worst],
    )
    wrong = [c for c in first.confusion if c.label != c.predicted][:_SHOWN]
    console.print_table(
        f"Most frequent mistakes, {first.candidate}",
        ["label", "taken for", ">count"],
        [(c.label, c.predicted, c.count) for c in wrong],
    )
    for item in result.unreadable:
        console.stderr().print(f"left out: {item.reason}", soft_wrap=True, markup=False)
