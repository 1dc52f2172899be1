"""The plumbing that every Tandem service inherits: nothing here knows a business word."""
