"""The same models, made faster from outside: see `engine.engine.Engine`."""
