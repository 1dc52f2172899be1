"""The ledger: how events become postings and balances, exactly once, and how that is proven."""
