"""Alerts: what needs attention now, computed from the ledger for every request."""
