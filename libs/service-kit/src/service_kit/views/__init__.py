"""Saved views: what a list is asked for, under a name."""
