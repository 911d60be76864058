"""The ST-GCN backbone and head, and the names other projects give its weights."""
