"""Directory files of ISO/IEC 7816-15 as values, read by one lax decoder."""
