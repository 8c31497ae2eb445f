"""A corpus of calls and certificates with their outcomes: the referee of every change of structure."""
