"""How fast and how small: measured, with what disturbed it, and written as records that can be compared (``spec.py``)."""
