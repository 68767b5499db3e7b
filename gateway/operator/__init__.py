"""Commands for whoever runs the gateway, besides running it."""
