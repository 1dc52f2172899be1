"""Customers who wait for us: for how long they may, and who waits now."""
