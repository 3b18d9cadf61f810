"""``bench zoo``: latency against weight of many networks."""
