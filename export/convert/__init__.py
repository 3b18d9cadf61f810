"""PyTorch → ONNX and TFLite, float and 8-bit. Every graph takes raw pixels and gives probabilities.

All graphs are made alike: the network's *core* (normalised pixels → logits) is converted, and quantized if asked; then a front that
turns raw uint8 pixels into the core's input and a float softmax behind it are added to the file. So the camera never normalises,
and the softmax keeps the resolution that the gate's log p needs.
"""
