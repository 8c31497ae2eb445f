"""One script per claim; each prints a table and writes it to benchmarks/results."""
