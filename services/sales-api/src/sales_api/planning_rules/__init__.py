"""Planning rules: which activities plan themselves after a deal was closed, or at intervals."""
