"""What MediaPipe Tasks' ImageClassifier says of pictures; run by ``mediapipe_check.py`` in an environment that has mediapipe and not
shelfcam.

``python mediapipe_classify.py MODEL.tflite PICTURES.npy`` prints JSON: ``top`` holds a [label, score] a picture, ``metadata`` what
MediaPipe's own schema reads out of the file.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import mediapipe
import numpy as np
from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata_schema
from mediapipe.tasks.metadata import schema_py_generated as schema
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import ImageClassifier, ImageClassifierOptions


def read_metadata(path: Path) -> dict[str, object]:
    """The facts that the file carries, read with the schemas of the mediapipe wheel."""
    content = path.read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    entry = next(entry for entry in model.metadata if entry.name == b"TFLITE_METADATA")
    buffer = bytes(model.buffers[entry.buffer].data)
    assert buffer[4:8] == b"M001", "the metadata's file identifier"
    facts = metadata_schema.ModelMetadataT.InitFromObj(metadata_schema.ModelMetadata.GetRootAs(buffer, 0))
    fed, given = facts.subgraphMetadata[0].inputTensorMetadata[0], facts.subgraphMetadata[0].outputTensorMetadata[0]
    normalise = fed.processUnits[0].options
    label_file = given.associatedFiles[0]
    assert label_file.type == metadata_schema.AssociatedFileType.TENSOR_AXIS_LABELS
    assert fed.content.contentProperties.colorSpace == metadata_schema.ColorSpaceType.RGB
    with zipfile.ZipFile(path) as archive:
        labels = archive.read(label_file.name.decode()).decode().splitlines()
    return {
        "name": facts.name.decode(),
        "version": facts.version.decode(),
        "licence": facts.license.decode(),
        "input": fed.name.decode(),
        "output": given.name.decode(),
        "mean": float(normalise.mean[0]),
        "std": float(normalise.std[0]),
        "input_range": [float(fed.stats.min[0]), float(fed.stats.max[0])],
        "labels": labels,
    }


def main() -> None:
    """Classify N×H×W×3 uint8 RGB pictures one by one."""
    model, pictures = Path(sys.argv[1]), np.load(sys.argv[2])
    options = ImageClassifierOptions(base_options=BaseOptions(model_asset_path=str(model)), max_results=1)
    top = []
    with ImageClassifier.create_from_options(options) as classifier:
        for picture in pictures:
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
            best = classifier.classify(image).classifications[0].categories[0]
            top.append([best.category_name, best.score])
    print(json.dumps({"version": mediapipe.__version__, "top": top, "metadata": read_metadata(model)}))


if __name__ == "__main__":
    main()
