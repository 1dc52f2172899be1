"""The write side: events become states, postings and sums, exactly once."""
