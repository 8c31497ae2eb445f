"""Families of games: what every family answers, the only place where certificates are made, a room for each."""
