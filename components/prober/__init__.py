"""Asks every upstream, each minute, whether it would serve its cache. Runs on mirrors, on Python 3.6 and later."""
