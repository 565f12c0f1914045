"""Who is asking: users of the settings file, passwords, sessions, CSRF tokens, bounded attempts. Decides no right on a change."""
