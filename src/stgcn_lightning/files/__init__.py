"""Files that need care: untrusted pickles, atomic writes, downloads."""
