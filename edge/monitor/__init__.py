"""What can be known about a running camera: counters, stage times, metrics, health, and the watchdog's heartbeat."""
