"""How things are measured: children, alternating rounds, clocks, memory, energy."""
