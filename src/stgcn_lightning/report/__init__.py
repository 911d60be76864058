"""Statistics -> pages: HTML files that open offline."""
