"""The page to return to after a login: a path of this origin, or the portal's first page."""

from urllib.parse import unquote_to_bytes

HOME = "/"
MAX_TARGET_CHARS = 2048
ADMIN_PAGES = "/_cps/admin"
_OWN_PAGES = b"/_cps"


def same_origin_target(target: str) -> str:
    """Return *target* if no browser can read another origin into it, else ``/``.

    Both spellings of the path are looked at, as written and percent-decoded, because a server
    between may decode it: neither holds ``//``, a backslash, a control character or a dot segment.
    Of the gateway's own pages only the administrators' are a place to return to: opening one of
    them begins and ends nothing.

    :param target: what the browser asked for, path and query, not more than 2048 characters.
    """
    if len(target) > MAX_TARGET_CHARS or not target.startswith("/"):
        return HOME
    if any(not "!" <= character <= "~" or character in "\\#" for character in target):
        return HOME
    written = target.partition("?")[0]
    path = unquote_to_bytes(written)
    segments = path.split(b"/")
    if b"//" in path or b"\\" in path or b"." in segments or b".." in segments:
        return HOME
    if any(byte < 0x20 or byte == 0x7F for byte in path):
        return HOME
    is_own = path == _OWN_PAGES or path.startswith(_OWN_PAGES + b"/")
    if is_own and written != ADMIN_PAGES and not written.startswith(f"{ADMIN_PAGES}/"):
        return HOME
    return target
