"""Brings revocation data: the only part of the gateway that fetches, in a process of its own."""
