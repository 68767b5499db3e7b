"""Numbers with a check digit, for people and cards that do not exist."""

RPPS_STEM_DIGITS = 10


def luhn_digit(digits: str) -> str:
    """Return the digit that makes *digits* and it pass the Luhn check.

    :param digits: decimal digits without their check digit.
    :raises ValueError: for anything but ASCII decimal digits.
    """
    if not (digits.isascii() and digits.isdecimal()):
        raise ValueError("decimal digits expected")
    total = 0
    for position, digit in enumerate(reversed(digits)):
        # Seen from the check digit, every second digit counts double, the nearest one first.
        value = int(digit) * (2 if position % 2 == 0 else 1)
        total += value // 10 + value % 10
    return str(-total % 10)


def rpps_national_id(stem: str) -> str:
    """Return the idNat_PS of a holder with an RPPS number: ``8``, ten digits, check digit.

    :param stem: the RPPS number's first 10 digits.
    :raises ValueError: for anything but 10 digits.
    """
    if len(stem) != RPPS_STEM_DIGITS:
        raise ValueError(f"{RPPS_STEM_DIGITS} digits expected")
    return f"8{stem}{luhn_digit(stem)}"
