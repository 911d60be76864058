"""The only doors to the disk and the network that need care."""
