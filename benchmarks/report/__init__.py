"""From the records of ``bench zoo`` and ``bench latency`` to tables, plots and the verdict on weight and latency."""
