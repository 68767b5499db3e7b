"""Commands of ISO/IEC 7816-4: `channel` carries one to the card, `commands`, `pins` are they."""
