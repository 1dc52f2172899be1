"""Maintenance: plans by which a customer's equipment is looked after, and the visits under them."""
