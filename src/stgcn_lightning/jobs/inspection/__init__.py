"""What a file or folder is, what is in it, and what will hurt when it is used."""
