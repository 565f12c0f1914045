"""Nouns to text: for terminals, for comments, for pages. Pure; every remote text is escaped here."""
