"""What changes the weights: fine-tuning, distillation, pruning."""
