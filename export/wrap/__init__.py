"""Bundles of models that somebody else made, ONNX or TFLite: their facts are read from the file. Needs onnx, never torch."""
