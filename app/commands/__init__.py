"""The `handrail` command, one module per errand. Each function is a command; `app.cli` gives them their names."""
