"""What tests of the export share: an export takes seconds, and most tests only read what it made."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fakes.once import run_folder

if TYPE_CHECKING:
    from export.recipe import ExportResult
    from export.request import Request


@pytest.fixture(scope="session", autouse=True)
def _operators_once() -> Iterator[None]:
    """PyTorch's exporter parses the Python source of its 497 ONNX functions anew for each network: half of what a tiny one takes."""
    try:
        from torch.onnx._internal.exporter._registration import onnxscript_apis as operators
    except ImportError:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operators, "get_torchlib_ops", functools.cache(operators.get_torchlib_ops))
        yield


@pytest.fixture(scope="session")
def conversions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where ``tests.fakes.conversions`` keeps what was converted."""
    return run_folder(tmp_path_factory) / "conversions"


@pytest.fixture(scope="session", autouse=True)
def _conversions_once(conversions: Path) -> Iterator[None]:
    """PyTorch's exporters are asked once for each network of an export."""
    try:
        from tests.fakes.conversions import keep_conversions
    except ImportError:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        keep_conversions(conversions, patch)
        yield


@pytest.fixture(scope="session")
def small_export(tmp_path_factory: pytest.TempPathFactory) -> tuple[Request, ExportResult]:
    """The request and the result of one export of the tiny network to ONNX; to be read only."""
    for package in ("torch", "onnx", "onnxruntime"):
        pytest.importorskip(package)
    from export import progress, recipe
    from tests.fakes.export_requests import small_request
    from tests.fakes.tiny_net import tiny_model

    with pytest.MonkeyPatch.context() as patch:
        request = small_request(tmp_path_factory.mktemp("small_export"), tiny_model(), patch)
        return request, recipe.export(request, progress.silent)
