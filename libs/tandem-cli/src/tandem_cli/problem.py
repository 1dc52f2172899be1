"""The one exception that the command shows to a person as a sentence instead of a traceback."""


class StackProblem(Exception):
    """A problem that the user can fix; its text is one plain sentence: what happened, then what to do."""
