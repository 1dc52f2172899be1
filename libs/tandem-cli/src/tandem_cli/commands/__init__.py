"""One command a module, each with a `register(app)` that adds it."""
