"""Health, metrics, and the record of sessions that ended: a process that browsers never reach."""
