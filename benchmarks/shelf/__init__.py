"""``bench shelf``: what watching a shelf costs, and how right its events are."""
