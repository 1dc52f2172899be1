"""Activities: what salespeople do for leads, deals and customers, planned or not."""
