"""``bench loop``: what the camera loop costs around its model."""
