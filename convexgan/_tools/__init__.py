"""What every room needs and none is about."""
