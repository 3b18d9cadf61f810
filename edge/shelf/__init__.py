"""What the shelf is: slots, and what changed in them."""
