"""``bench soak``: a service that runs for hours while everything around it fails."""
