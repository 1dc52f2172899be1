"""Planned work: what is to be done by a due time, and is then done, missed, moved or cancelled."""
