"""What the books measure and which KPIs follow from it; pure, with no I/O."""
