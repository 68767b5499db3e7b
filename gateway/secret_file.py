"""Passwords and other secrets, each in the first line of a file."""

from pathlib import Path

from gateway.errors import ConfigurationError

MAX_SECRET_CHARS = 1024


def read_secret(file: Path, *, key: str, min_chars: int = 1) -> str:
    """Return the secret in *file*, which is in no error's text.

    :param key: the setting that names the file, for the error.
    :param min_chars: fewer are no secret, 1 to ``MAX_SECRET_CHARS``.
    :raises ConfigurationError: where there is none that can be used.
    """
    try:
        with file.open(encoding="utf-8") as stream:
            secret = stream.readline(MAX_SECRET_CHARS + 2).rstrip("\r\n")
    except (OSError, ValueError) as exc:
        raise ConfigurationError(str(file), key, "cannot be read") from exc
    if not min_chars <= len(secret) <= MAX_SECRET_CHARS:
        reason = f"its first line wants {min_chars} to {MAX_SECRET_CHARS} characters"
        raise ConfigurationError(str(file), key, reason)
    return secret
