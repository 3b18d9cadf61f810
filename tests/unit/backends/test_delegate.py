"""TFLite delegates, through the real runtime: libraries that are none, one that refuses, and one that takes over nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge.backends import load_backend
from edge.backends.base import Placement
from edge.bundle.model_file import ModelFile
from edge.errors import BackendError, ProviderError
from tests.fakes.candidates import vww_candidate
from tests.fakes.runtimes import need_tflite

# TfLiteDelegate of tensorflow/lite/core/c/common.h, and external_delegate_interface.h; PREPARE is what Prepare returns.
SOURCE = r"""
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
typedef struct D { void *data; int (*prepare)(void *, struct D *); void *in, *out, *release; int64_t flags; void *builder; } D;
static int prepare(void *context, D *self) { return PREPARE; }
void *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
  D *made = NULL;
  for (size_t i = 0; i < count; i++) {
    FILE *file = fopen(values[i], "w");
    if (file) { fputs(keys[i], file); fclose(file); made = calloc(1, sizeof(D)); made->prepare = prepare; }
  }
  if (!made) report("no such accelerator");
  return made;
}
void tflite_plugin_destroy_delegate(void *self) { free(self); }
"""


def compiled(out: Path, prepare: int = 0, source: str = SOURCE) -> str:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to make a delegate with")
    command = [compiler, "-shared", "-fPIC", f"-DPREPARE={prepare}", "-x", "c", "-", "-o", str(out)]
    subprocess.run(command, input=source, text=True, check=True)
    return str(out)


@pytest.fixture
def model(third_party: Path) -> ModelFile:
    need_tflite()
    return ModelFile.read(third_party / "vww_96_int8.tflite")


def at(library: str, **options: str) -> Placement:
    return Placement(provider="delegate", delegate=library, delegate_options=options)


def test_a_delegate_is_loaded_with_its_options_and_the_answers_stay(model: ModelFile, tmp_path: Path) -> None:
    written = tmp_path / "option"
    library = compiled(tmp_path / "libnop.so")
    backend = load_backend(model, vww_candidate(), 1, at(library, write_to=str(written)))
    assert written.read_text() == "write_to"
    assert backend.info.provider == library
    batch = np.random.default_rng(1).integers(-128, 128, (2, 96, 96, 3), dtype=np.int8)
    expected = load_backend(model, vww_candidate(), 1).run(batch)[0]
    np.testing.assert_array_equal(backend.run(batch)[0], expected)
    backend.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the runtime's own Delegate.__del__
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("refusing", "no such accelerator"),
        ("plain", "tflite_plugin_create_delegate"),
        ("text", "file too short"),
        ("gone", "cannot open shared object file"),
    ],
)
def test_a_library_that_is_no_delegate_is_named_with_the_reason(
    model: ModelFile, tmp_path: Path, kind: str, words: str
) -> None:
    library = tmp_path / f"lib{kind}.so"
    if kind == "refusing":
        compiled(library)
    elif kind == "plain":
        compiled(library, source="int nothing;\n")
    elif kind == "text":
        library.write_text("hi")
    with pytest.raises(ProviderError, match=words) as caught:
        load_backend(model, vww_candidate(), 1, at(str(library)))
    assert str(library) in str(caught.value)


def test_one_that_cannot_take_the_model_is_not_the_bundles_fault(model: ModelFile, tmp_path: Path) -> None:
    library = compiled(tmp_path / "libbad.so", prepare=1)
    with pytest.raises(BackendError, match=r"libbad\.so cannot run candidate tflite-int8") as caught:
        load_backend(model, vww_candidate(), 1, at(library, write_to=str(tmp_path / "option")))
    assert not isinstance(caught.value, ProviderError)


def test_tflite_has_no_cuda(model: ModelFile) -> None:
    with pytest.raises(BackendError, match="no provider 'cuda'"):
        load_backend(model, vww_candidate(), 1, Placement(provider="cuda"))
