"""Onboardings: the steps by which won deals are brought into use, and the templates that they come from."""
