"""The planner: pure functions from graphs and observations to plans; the same on the machine and in the service."""
