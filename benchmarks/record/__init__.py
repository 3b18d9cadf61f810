"""What a measurement is: its record, the host it was taken on, statistics, and targets."""
