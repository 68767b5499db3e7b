"""Commands of ISO/IEC 7816-4 over a connection: channel, commands, file control parameters."""
