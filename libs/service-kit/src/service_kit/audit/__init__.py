"""The audit: who changed which field of which record from what to what, when, and by which request; append-only."""
