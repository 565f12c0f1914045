"""Databases of users and groups behind one seam: what is there, and making, changing and removing it."""
