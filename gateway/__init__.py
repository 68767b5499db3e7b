"""The login layer in front of a portal: a session only for a CPS card that is in a reader now."""
