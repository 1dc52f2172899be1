"""Closed periods: what their KPIs were when they were closed, and every later change of them as a restatement."""
