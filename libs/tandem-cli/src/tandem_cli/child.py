"""Becomes another program, after asking the kernel to end it when the process that started it dies.

Run by path with the bare interpreter (`python -I -S child.py PARENT SIGNAL USER PROGRAM ARG…`), so it imports the
standard library only and starts in milliseconds. `USER` is `-` or `uid:gid`, for PostgreSQL, which refuses root.
It is a program and not a `preexec_fn` because code between fork and exec of a process with threads can deadlock.
"""

import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_READ_SEARCH = 2
CAPABILITY_VERSION_3 = 0x20080522


def become(uid: int, gid: int) -> None:
    """Give up root for this user, keeping only the right to read and to pass through directories.

    Without it a project cloned below /root (mode 0700) could not be reached by the unprivileged user. Where the
    kernel or a container withholds the right, the program runs without it.
    """
    linux = sys.platform == "linux"
    libc = ctypes.CDLL(None, use_errno=True)
    if linux:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if linux:
        bit = 1 << CAP_DAC_READ_SEARCH
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; low words first
        if libc.capset(header, sets) == 0:
            libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0)
        else:
            libc.capset(header, (ctypes.c_uint32 * 6)())


def end_with(parent: int, death: int) -> None:
    """Arrange that this process gets signal `death` as soon as `parent` is gone.

    Call it after `become`: the kernel forgets the arrangement when a process changes its user.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death, 0, 0, 0)
    else:
        watch(parent, death)
    if os.getppid() != parent:  # it died before the arrangement was made
        sys.exit("child: the process that started this one is gone")


def watch(parent: int, death: int) -> None:
    """Where the kernel offers no such signal, leave a small process behind that looks twice a second."""
    program = os.getpid()
    if os.fork() != 0:
        return
    while os.getppid() == program:
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            os.kill(program, death)
            os._exit(0)
        except PermissionError:
            pass  # alive, of another user
        time.sleep(0.5)
    os._exit(0)


def main() -> None:
    parent, death, user, *program = sys.argv[1:]
    if user != "-":
        uid, gid = user.split(":")
        become(int(uid), int(gid))
    end_with(int(parent), int(death))
    # What the starter ignores would stay ignored: a JVM, for one, leaves SIGTERM alone that it inherits so.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(program[0], program)  # noqa: S606
    except OSError as error:
        sys.exit(f"child: {program[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
