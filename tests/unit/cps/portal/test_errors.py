from cps.portal.errors import AssertionRefusedError, KeysUnavailableError


def test_a_portal_that_knows_one_error_refuses_at_both() -> None:
    assert issubclass(KeysUnavailableError, AssertionRefusedError)
