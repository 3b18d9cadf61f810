"""Short definitions of networks that the model packages lack."""
