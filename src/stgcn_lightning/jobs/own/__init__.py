"""A benchmark made of recordings of the user's own: what `prepare data=FOLDER` does."""
