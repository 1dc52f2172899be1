"""What each KPI is: formulas over measures."""
