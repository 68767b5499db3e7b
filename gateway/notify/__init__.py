"""Tells the holder of a card, and a program of the site, that a session was opened with it."""
