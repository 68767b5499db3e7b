"""A test authority with the shape of the national one: hierarchy, leaves, revocation lists."""
