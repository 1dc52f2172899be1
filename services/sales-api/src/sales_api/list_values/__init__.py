"""The values of declared lists: channels."""
