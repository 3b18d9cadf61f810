"""Numbers and lists on the command line."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection

from cyclopts import validators

from edge.errors import UsageError
from edge.manifest import Candidate, Model

AT_LEAST_ONE = validators.Number(gte=1)
NOT_NEGATIVE = validators.Number(gte=0)
POSITIVE = validators.Number(gt=0)


def parse_names(option: str, text: str) -> tuple[str, ...]:
    """Words with commas, each once, in order. Raises UsageError where there is none."""
    names = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not names:
        raise UsageError(f"{option}: nothing is named")
    return names


def parse_counts(option: str, text: str, *, least: int = 1) -> tuple[int, ...]:
    """Whole numbers with commas, each once, none below ``least``. Raises UsageError."""
    try:
        counts = tuple(int(word) for word in text.split(","))
    except ValueError as error:
        raise UsageError(f"{option} {text!r}: whole numbers with commas, as in 1,2") from error
    if min(counts) < least:
        raise UsageError(f"{option} {text!r}: not below {least}")
    return tuple(dict.fromkeys(counts))


def parse_threads(text: str) -> tuple[int, ...]:
    """Numbers of inference threads, each with a CPU of its own. Raises UsageError."""
    counts, allowed = parse_counts("--threads", text), len(os.sched_getaffinity(0))
    if max(counts) > allowed:
        raise UsageError(f"--threads {text!r}: this process may use {allowed} CPUs", fix="every thread gets a core of its own")
    return counts


def parse_known(option: str, text: str, known: Collection[str]) -> tuple[str, ...]:
    """``parse_names``, all of them among ``known``. Raises UsageError."""
    names = parse_names(option, text)
    refuse_unknown(option, names, known)
    return names


def parse_candidates(model: Model, text: str) -> tuple[Candidate, ...]:
    """The model's candidates of these names, with commas. Raises UsageError that lists what there is."""
    found = {candidate.name: candidate for candidate in model.candidates}
    return tuple(found[name] for name in parse_known("--candidates", text, found))


def refuse_unknown(option: str, names: Collection[str], known: Collection[str]) -> None:
    """Raises UsageError for the first of ``names`` that is not among ``known``, with what it may have meant."""
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            fix = f"did you mean {' or '.join(near)}?" if near else f"one of {', '.join(known)}" if len(known) < 10 else None
            raise UsageError(f"{option}: unknown: {name!r}", fix=fix)
