"""What stands in front of the portal: no request passes without a session."""
