"""The gate: the health checker beside Nginx. Standard library only."""
