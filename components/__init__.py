"""The components of registry-cache: one file a component."""
