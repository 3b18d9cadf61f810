"""The text of --input: read strictly, with errors that help."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import UsageError
from edge.manifest import Normalisation
from export.wrap.input_text import InputHints, parse_input


def same(value: float) -> tuple[float, float, float]:
    return (value, value, value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, InputHints()),
        ("  ", InputHints()),
        ("tf", InputHints(normalise=Normalisation(mean=same(127.5), scale=same(127.5)))),
        ("raw", InputHints(normalise="folded")),
        ("imagenet", InputHints(normalise=Normalisation(mean=(123.675, 116.28, 103.53), scale=(58.395, 57.12, 57.375)))),
        (
            "mean=0 scale=255, colour=BGR fit=stretch",
            InputHints(normalise=Normalisation(mean=same(0), scale=same(255)), colour="BGR", fit="stretch"),
        ),
        ("mean=1,2,3 scale=4 5 6", InputHints(normalise=Normalisation(mean=(1, 2, 3), scale=(4, 5, 6)))),
        ("size=224,layout=NCHW", InputHints(size_hw_px=(224, 224), layout="NCHW")),
        ("size=96x128", InputHints(size_hw_px=(96, 128))),
    ],
)
def test_reads(text: str | None, expected: InputHints) -> None:
    assert parse_input(text) == expected


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("colur=BGR", "unknown key 'colur'", "did you mean 'colour'"),
        ("mean=1 std=2", "unknown key 'std'", "did you mean 'scale'"),
        ("imagnet", "unknown word 'imagnet'", "did you mean 'imagenet'"),
        ("colour=rgb", "unknown colour 'rgb'", "did you mean 'RGB'"),
        ("fit=crop", "unknown fit 'crop'", "centre_crop"),
        ("mean=127.5", "mean alone", "scale"),
        ("mean=1,2 scale=1", "mean takes one number or three, not '1,2'", None),
        ("mean=nan scale=1", "mean takes one number or three", None),
        ("mean=0 scale=0", "scale must be above 0", None),
        ("mean=0 scale=1 mean=2", "mean is given twice", None),
        ("tf raw", "tf and raw exclude each other", None),
        ("tf mean=1 scale=1", "exclude each other", None),
        ("size=0", "size takes", None),
        ("12", "unknown word '12'", None),
    ],
)
def test_refuses(text: str, message: str, fix: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        parse_input(text)
    assert message in str(caught.value)
    assert fix is None or fix in str(caught.value.fix)


@given(st.text(alphabet="abcefilmnostuz=.,- 0123456789x\n", max_size=40))
def test_never_anything_but_hints_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(parse_input(text), InputHints)
