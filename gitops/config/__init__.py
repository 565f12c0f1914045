"""Text to valid Config: every mistake collected, each with its place. Data only: nothing in a project is ever executed."""
