"""What the predict door does, in the parts that `predicting` puts together."""
