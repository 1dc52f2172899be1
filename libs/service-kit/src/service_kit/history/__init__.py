"""The history: the events of a record as they were published, and those that wait for it."""
