"""Virtual time: timers of the loop fire when everything waits, and not when they are due."""
