"""References to values, late: only the process that starts the executor resolves them, from sources its own settings allow."""
