"""The pull side: fetch, verify, converge and report on a schedule. Needs no git binary and never compiles."""
