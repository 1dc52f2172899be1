"""The one exception that the command shows to a person as a sentence instead of a traceback."""


class StackProblem(Exception):
    """Something a person can mend; its text is one plain sentence that says what and how."""
