"""The guard: what an identity may do on sensitive routes, even with a session of its own."""
