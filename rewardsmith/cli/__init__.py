"""The command line: typer, one module per verb; `main` puts them together."""
