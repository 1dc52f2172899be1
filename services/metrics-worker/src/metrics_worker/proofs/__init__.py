"""Proofs: when the ledger was compared with the log, and what was found."""
