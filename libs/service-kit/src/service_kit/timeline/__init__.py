"""Timelines: everything that happened with a customer in both functions, by the events of both."""
