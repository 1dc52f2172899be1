"""Lists of records: filters, sorting, search, pages, totals and included records, declared once a noun."""
