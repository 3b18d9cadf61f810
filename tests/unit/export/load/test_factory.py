"""``package.module:factory``."""

from __future__ import annotations

import contextlib
import sys

import pytest

pytest.importorskip("torch")

import torch
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import BackendError, DataError, UsageError
from export.load import factory
from export.load.factory import Call

FAKES = "tests.fakes.networks"


@pytest.mark.parametrize(
    ("spec", "call"),
    [
        ("a.b:make", Call("a.b", "make")),
        ("a:Net.small", Call("a", "Net.small")),
        ("timm:create_model('resnet18', num_classes=10)", Call("timm", "create_model", ("resnet18",), {"num_classes": 10})),
        ("a:make(-1, (2, 3), flag=True)", Call("a", "make", (-1, (2, 3)), {"flag": True})),
    ],
)
def test_what_is_understood(spec, call):
    assert factory.parse(spec) == call


@pytest.mark.parametrize(
    "spec",
    ["a:", ":make", "a b:make", "a:make(open('x'))", "a:make(**{})", "a:make()()", "a:1", "a:make(", "a:x+y", "a:make(name)"],
)
def test_what_is_not_understood_is_refused_before_anything_is_imported(spec):
    with pytest.raises(UsageError) as caught:
        factory.parse(spec)
    assert "package.module:factory" in caught.value.fix


@given(st.text(max_size=40))
def test_any_text_is_a_call_or_a_usage_error(text):
    with contextlib.suppress(UsageError):
        assert isinstance(factory.parse(f"a:{text}"), Call)


def test_the_number_of_classes_reaches_a_factory_that_takes_it():
    assert factory.build(f"{FAKES}:sized", 9)[5].out_features == 9
    assert factory.build(f"{FAKES}:sized", None)[5].out_features == 5
    assert factory.build(f"{FAKES}:sized(7, width=4)", None)[5].in_features == 4
    assert factory.build(f"{FAKES}:sized(num_classes=7)", 9)[5].out_features == 7
    assert factory.build(f"{FAKES}:create_model('sized')", 9)[5].out_features == 9
    assert factory.build(f"{FAKES}:fixed", 9)[5].out_features == 5


def test_the_current_directory_is_searched_and_then_no_more(tmp_path, monkeypatch):
    (tmp_path / "my_own_network.py").write_text("import torch\ndef make():\n    return torch.nn.Linear(2, 2)\n")
    monkeypatch.chdir(tmp_path)
    assert isinstance(factory.build("my_own_network:make", None), torch.nn.Linear)
    assert str(tmp_path) not in sys.path


@pytest.mark.parametrize(
    ("spec", "error", "reason"),
    [
        ("no_such_package.models:make", BackendError, "no_such_package"),
        (f"{FAKES}:no_such", UsageError, "no_such"),
        (f"{FAKES}:SIZE_PX", UsageError, "int, not a factory"),
        (f"{FAKES}:broken", DataError, "RuntimeError: no such size"),
        (f"{FAKES}:nothing", DataError, "made str"),
        (f"{FAKES}:sized(colour=1)", DataError, "TypeError"),
        (f"{FAKES}:create_model('resnet')", DataError, "KeyError: 'resnet'"),
    ],
)
def test_what_goes_wrong_is_said(spec, error, reason):
    with pytest.raises(error, match=reason):
        factory.build(spec, None)


def test_a_module_that_fails_while_it_is_imported(tmp_path, monkeypatch):
    (tmp_path / "half_written_network.py").write_text("def make(:\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="fails while it is imported: SyntaxError"):
        factory.build("half_written_network:make", None)
