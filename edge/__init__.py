"""shelfcam on the camera: numpy, OpenCV and one inference runtime, nothing else.

The spine is ``edge/loop.py``; ``edge/app.py`` is the only file that chooses implementations.
"""

__version__ = "0.1.0"
