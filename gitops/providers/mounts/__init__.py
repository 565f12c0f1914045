"""Mounts: the lines of /etc/fstab, and what the kernel says is mounted."""
