"""The same models, faster, from outside: see `engine.engine.Engine`."""
