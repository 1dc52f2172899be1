"""Quotas: what a salesperson is to sell in a period."""
