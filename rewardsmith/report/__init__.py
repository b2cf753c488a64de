"""What people see of a search: the live view, plain and JSON lines, tables."""
