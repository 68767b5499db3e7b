"""Numbers that every process of the gateway counts, and the monitor adds up."""
