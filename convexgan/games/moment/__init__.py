"""Games of moments: linear, quadratic and polynomial neurons against generators whose moments decide."""
