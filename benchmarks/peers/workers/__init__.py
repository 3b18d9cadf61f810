"""The scripts that run inside the peers' environments. Each stands alone but for ``harness.py`` beside it."""
