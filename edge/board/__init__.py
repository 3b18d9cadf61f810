"""The board that a camera runs on: which one it is, how hot it gets, and what is done about that."""
