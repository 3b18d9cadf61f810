"""What a converted model is worth: parity, counts, reports."""
