"""What the workflows in .github/workflows do: previews in pull requests, `up` on main, the nightly look.

A workflow's step is one line that runs a module of here, so that the same runs on any machine. `ci.post`, the
one that holds a token beside a stranger's data, needs nothing but Python.
"""
