"""The one door to cvxpy: solvers, constraints, answers as accurate as they can be had."""
