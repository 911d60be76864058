"""Data files of others -> Annotations, one reader a file; `registry` lists the readers."""
