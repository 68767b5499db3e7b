"""Sessions: value, cookie and stores."""
