"""script.py — what the test scripts share: where the repository is, and the programs that they are told.

A script takes them from its command line when it is read, before unittest looks at it:

    LQFT = script.path("--lqft", "build/lqft")
"""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def flag(option):
    """Is the option there?  It is taken away."""
    if option not in sys.argv:
        return False
    sys.argv.remove(option)
    return True


def value(option, default):
    """What follows the option; both are taken away."""
    if option not in sys.argv:
        return default
    at = sys.argv.index(option)
    if at + 1 == len(sys.argv):
        sys.exit(f"{sys.argv[0]}: {option} wants a value")
    told = sys.argv[at + 1]
    del sys.argv[at:at + 2]
    return told


def path(option, default):
    """The same as an absolute path; the default is a place in the repository."""
    return os.path.abspath(value(option, os.path.join(ROOT, default)))
