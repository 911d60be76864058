"""Statistics to pages and pictures."""
