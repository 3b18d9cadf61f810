"""Stages that regions go through: a model, or several one after the other."""
