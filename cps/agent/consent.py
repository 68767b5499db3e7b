"""The clear question at a portal's first use, and what the answer is good for."""

from cps.agent.errors import SignInError
from cps.agent.pin_entry import PINEntry, Wanted
from cps.agent.portals import Portals
from cps.agent.signin import LoginRequest
from cps.authtoken.codes import ErrorCode


class Consent:
    """Asks the person about portals that nobody named before.

    :param portals: those that are known; a yes is kept there.
    :param entry: puts the question.
    """

    def __init__(self, portals: Portals, entry: PINEntry) -> None:
        self._portals = portals
        self._entry = entry

    def __call__(self, request: LoginRequest, wanted: Wanted) -> None:
        """Return where *request* may go on.

        :raises SignInError: ORIGIN_DENIED where the person says no, or nobody can be asked.
        :raises cps.errors.PINCancelledError: where nobody waits for the answer.
        """
        if self._portals.allows(request.origin):
            return
        if not self._entry.confirms(request.origin, request.language, wanted):
            raise SignInError(ErrorCode.ORIGIN_DENIED, "the person does not know this portal")
        self._portals.confirm(request.origin)
