"""What comes back: certificates with their evidence, solutions, and the record of a game of moments."""
