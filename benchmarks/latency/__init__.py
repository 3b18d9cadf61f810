"""``bench latency``: what one bundle's candidates cost, measured alternately."""
