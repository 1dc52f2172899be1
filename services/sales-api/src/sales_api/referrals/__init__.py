"""Referrals: customers' recommendations."""
