"""Pulls images into a mirror's caches, through the caches. Runs on mirrors, on Python 3.6 and later."""
