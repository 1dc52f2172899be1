"""The values of declared lists: channels, and reasons of closing and disqualifying."""
