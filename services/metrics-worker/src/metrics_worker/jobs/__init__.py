"""What metrics-jobs does when the ledger or the time moves: it evaluates, publishes and delivers."""
