"""Custom fields: what an admin declares that records of a noun have besides their own fields."""
