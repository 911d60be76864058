"""What the front doors do, and the tables that they print."""
