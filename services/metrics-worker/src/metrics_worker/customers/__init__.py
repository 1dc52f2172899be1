"""Single customers: their timelines and their published risk."""
