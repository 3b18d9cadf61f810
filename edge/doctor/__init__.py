"""Why does this camera not work? Plain functions that look at one thing each and say what they found, with the fix."""
