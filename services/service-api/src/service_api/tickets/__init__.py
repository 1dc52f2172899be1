"""Tickets: customers' questions, requests and problems, and the contacts about them."""
