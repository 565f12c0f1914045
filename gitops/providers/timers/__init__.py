"""Timers of systemd: the words of their schedules, and the unit files that are made of them."""
