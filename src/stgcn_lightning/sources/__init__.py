"""Files of the world to annotations, one reader a file."""
