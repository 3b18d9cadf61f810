"""The grocery model inside the package: its lists, its float checkpoint and its recipe (``make grocery``)."""
