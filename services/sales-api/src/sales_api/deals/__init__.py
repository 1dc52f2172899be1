"""Deals: sales in the pipeline, from opening to won or lost."""
