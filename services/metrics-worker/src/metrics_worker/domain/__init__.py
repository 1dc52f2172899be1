"""What the ledger measures: pure rules from states to postings, with no I/O."""
