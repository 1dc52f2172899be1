"""The customer directory: fed by sales, and by service where it met a customer first."""
