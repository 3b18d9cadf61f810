"""What comes in: a network by name, from a factory, or from a file, with its weights and everything the camera must know of it."""
