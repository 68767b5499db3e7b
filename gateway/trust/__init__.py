"""Is this certificate good today? Anchors, path, profile, revocation."""
