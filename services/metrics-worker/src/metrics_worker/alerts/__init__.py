"""Alerts: what somebody should look at now, worked out from the books whenever they are asked for."""
