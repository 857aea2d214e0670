"""The two kinds of error that Leveret tells apart from its own defects."""


class UserError(Exception):
    """Something that the user can mend.

    The message is one line that names the file, the field and the mend; the command line prints it without a
    traceback and exits with status 2.
    """


class ClipError(Exception):
    """One clip cannot be read. It is listed and counted; the work on the other clips goes on."""
