"""Leads: those who may buy."""
