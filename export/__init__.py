"""From a model on the workstation to a bundle for the camera. Importing this package alone imports no training framework."""
