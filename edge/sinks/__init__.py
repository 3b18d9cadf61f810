"""Where events go; each kind is imported only when the config names it."""
