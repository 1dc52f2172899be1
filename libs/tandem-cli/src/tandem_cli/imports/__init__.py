"""`tandem import`: leads, deals and tickets with their histories, from CSV files through the two HTTP APIs."""
