"""Asks every upstream, each minute, whether it would serve. Runs on mirrors, on Python 3.6 and later."""
