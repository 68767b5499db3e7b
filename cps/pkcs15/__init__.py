"""Directory files of ISO/IEC 7816-15, which say where a card keeps its keys: bytes to values."""
