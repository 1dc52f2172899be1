"""Targets: the values that KPIs are to reach, and the events when one is missed or recovered."""
