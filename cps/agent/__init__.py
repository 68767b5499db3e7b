"""The workstation agent: answers the browser on loopback, and alone talks to the card."""

VERSION = "0.1.0"
"""The agent's version, as it tells the gateway; the tests hold it to pyproject.toml."""
