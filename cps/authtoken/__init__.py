"""What both sides must agree on, byte for byte; the only part of `cps` that `gateway` imports."""
