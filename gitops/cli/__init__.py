"""The command line: one file per verb. Reads the environment and prints; holds no logic of its own."""
