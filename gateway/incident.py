"""The number by which one failure is found in the logs, whoever of the gateway shows it."""

import secrets


def new_incident() -> str:
    """Return a random number that is easy to read out, such as ``4f07-b3e1``.

    nginx numbers its own refusals in the same form, which is why it is hexadecimal.
    """
    digits = secrets.token_hex(4)
    return f"{digits[:4]}-{digits[4:]}"
