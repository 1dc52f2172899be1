"""Deliveries: what was delivered for won deals, as customers accepted it."""
