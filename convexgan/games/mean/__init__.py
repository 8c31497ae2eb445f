"""Games of means against networks whose weights are penalised."""
