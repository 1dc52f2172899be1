"""`tandem import`: leads, deals, whole CRMs and tickets, from CSV files through the two HTTP APIs."""
