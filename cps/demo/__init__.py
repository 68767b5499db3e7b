"""The whole line on one machine: portal, gateway, agent and virtual card."""
