"""Accounts: the customers as sales knows them."""
