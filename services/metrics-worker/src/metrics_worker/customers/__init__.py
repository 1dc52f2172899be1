"""What the books say of single customers: their health, and whom somebody should look after."""
