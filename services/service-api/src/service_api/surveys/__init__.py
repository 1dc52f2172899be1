"""Surveys: what customers think of how a ticket was handled."""
