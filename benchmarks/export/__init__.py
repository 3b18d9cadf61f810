"""``bench export``: what an export costs."""
