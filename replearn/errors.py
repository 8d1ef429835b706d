"""The two ways in which a user's run can fail; each message is one line: file, value, remedy."""


class DataError(ValueError):
    """A file, an image set or an artefact cannot be used as it is (exit status 1)."""


class UsageError(ValueError):
    """The command or the configuration asks for something that does not exist (exit status 2)."""
