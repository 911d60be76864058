"""Files of the world -> Annotations, one reader a file; `registry` lists the readers."""
