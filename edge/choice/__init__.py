"""Which candidate this machine should run, and why: measured here, one process a candidate, remembered."""
