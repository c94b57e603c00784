"""Serves a mirror's metrics to the networks that may read them. Runs on mirrors, on Python 3.6 and later."""
