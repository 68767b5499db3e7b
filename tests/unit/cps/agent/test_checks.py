"""What each refusal answers; the checks themselves are attacked in test_server.py."""

import pytest

from cps.agent.checks import STATUS, Refusal, RefusedRequestError
from cps.authtoken.codes import ErrorCode


@pytest.mark.parametrize("refusal", list(Refusal))
def test_each_refusal_is_a_client_error_with_a_code(refusal: Refusal) -> None:
    assert 400 <= STATUS[refusal] < 500
    assert RefusedRequestError(refusal).code in {
        ErrorCode.BUSY,
        ErrorCode.ORIGIN_DENIED,
        ErrorCode.REQUEST_FORBIDDEN,
        ErrorCode.REQUEST_MALFORMED,
    }
