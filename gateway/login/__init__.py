"""One login: challenge, token, the whole decision."""
