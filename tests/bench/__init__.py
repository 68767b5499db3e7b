"""Measurements, run by `make bench`: each prints ratios to a baseline of the same run."""
