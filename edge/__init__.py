"""shelfcam on the camera: numpy, OpenCV and one inference runtime, nothing else.

The spine is ``edge/loop.py``; ``edge/app.py`` and, for the model, ``edge/models.py`` alone choose implementations.
"""

__version__ = "0.1.0"
