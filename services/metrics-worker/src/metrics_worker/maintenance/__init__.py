"""Proof and repair: compares the ledger with its log, and rebuilds it from there."""
