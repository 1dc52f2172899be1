"""Planning rules: which check-ins plan themselves after an onboarding, after a bad rating, or at intervals."""
