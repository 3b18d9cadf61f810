"""Other ways to run the same network on the same frames, each in a process and a Python environment of its own.

A peer is a worker script (``workers/NAME_worker.py``) that needs numpy and its own runtime only, and speaks JSON lines
(``workers/harness.py``). The parent (``process.py``) starts it, pins it to the same cores as all others and asks one at a time for
a round of queries.
"""
