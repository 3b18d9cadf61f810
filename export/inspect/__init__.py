"""What a model file holds: layers in the order they run, weights, multiply-accumulates, dtypes and quantization."""
