"""KPIs over HTTP: read from the balances where they hold the answer, from the postings where not."""
