"""The one exception of the lab."""


class LabError(Exception):
    """The lab cannot do what it was asked; the text says what is wrong, where, and what to do."""
