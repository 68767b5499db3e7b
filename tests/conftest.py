"""Fixtures that tests of several folders share."""

from tests.support.pcsc import pcscd

__all__ = ["pcscd"]
