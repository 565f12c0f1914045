"""Hooks: where forges deliver. Authenticate, take once, write down, answer in milliseconds; believe nothing else."""
