"""shelfcam on the camera: numpy, OpenCV and one inference runtime, nothing else.

The spine is ``edge/loop.py``; ``edge/site.py`` and, for the model, ``edge/models.py`` alone choose implementations.
"""

import os as _os

# OpenCV reads it once, when it is imported. A second wall behind edge.images.refuse_large: nothing of ours decodes more.
_os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "256000000")

__version__ = "0.1.0"
