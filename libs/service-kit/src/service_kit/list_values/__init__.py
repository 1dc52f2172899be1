"""Declared lists: the values that a field with a code may have, such as the channels."""
