"""Configurations for the proxy that a site has already: what it asks, passes on and takes away."""
