from __future__ import annotations

import pytest

from edge.bundle.reader import Bundle


@pytest.fixture(scope="session")
def fronted(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle whose file begins as every exported one does."""
    pytest.importorskip("onnx")
    from tests.fakes.fronted import write_fronted_bundle

    return write_fronted_bundle(tmp_path_factory.mktemp("bundles") / "fronted")
