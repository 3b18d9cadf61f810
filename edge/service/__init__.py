"""What keeps a camera alive for months: heartbeat, stage timing, event numbers."""
