"""Bulk import: files of records, each with its history, go through the operations that single requests go through."""
