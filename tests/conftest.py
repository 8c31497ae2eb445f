"""One hypothesis profile for all tests: the same examples on every machine, no time limit for one of them."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "convexgan", max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("convexgan")
