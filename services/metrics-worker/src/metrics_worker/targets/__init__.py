"""Targets: what a KPI is to reach, whether it does, and the events that tell of a crossing."""
