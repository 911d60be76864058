"""What the reproduce door does, in the parts that `reproducing` puts together."""
