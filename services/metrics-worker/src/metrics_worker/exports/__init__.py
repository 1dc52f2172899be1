"""The postings for other tools: as files over HTTP, and as read-only SQL views."""
