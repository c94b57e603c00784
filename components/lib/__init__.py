"""Pure Python without Pulumi: rendering, parsing, merging, quoting."""
