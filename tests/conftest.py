"""One hypothesis profile for all tests: the same examples on every machine, as many each time, no limit for one.

A failure prints the line that repeats it alone, ``@reproduce_failure(...)``, to be put above the test.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "convexgan",
    max_examples=20,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("convexgan")
