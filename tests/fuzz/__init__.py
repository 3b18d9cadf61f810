"""Fuzzing of everything that reads what a stranger made: ``make fuzz``, and a little of it in ``make test``."""
