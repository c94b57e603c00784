"""Prometheus alert rules and a Grafana dashboard, made from code."""
