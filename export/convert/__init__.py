"""PyTorch → ONNX and TFLite, in the forms that ``export.candidates`` lists.

All graphs are made alike: the network's *core* (normalised pixels → logits, or what else it answers) is converted once, then quantized
or made shorter if asked; then a front that turns the camera's pixels into the core's input is added to the file, the end of its task
(``export.tasks``; behind a classifier a softmax), and what the file says of itself. So the camera never normalises; a float softmax keeps
the resolution that the gate's log p needs, and only the full-integer candidates give it up.
"""
