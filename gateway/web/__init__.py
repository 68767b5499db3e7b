"""The control plane: login pages and agent API. The only Flask."""
