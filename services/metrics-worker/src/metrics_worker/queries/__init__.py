"""The read side: what a query needs, and the statements that read it."""
