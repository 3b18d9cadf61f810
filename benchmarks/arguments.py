"""Lists on the command line."""

from __future__ import annotations

from edge.config import thread_count
from edge.errors import UsageError


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
    """Numbers of inference threads, as ``shelfcam run --threads`` takes them. Raises UsageError."""
    counts = parse_counts("--threads", text)
    try:
        return tuple(thread_count(count) for count in counts)
    except ValueError as error:
        raise UsageError(f"--threads {text!r}: {error}") from error
