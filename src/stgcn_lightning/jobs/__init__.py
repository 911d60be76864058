"""What the front doors do: prepare, train, test, fuse; and the tables they print."""
