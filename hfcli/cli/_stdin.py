"""Standard input that was not asked for: a PROMPT leaves it alone, and says so when something is there."""

import array
import fcntl
import os
import re
import shlex
import stat
import termios


def bytes_waiting() -> bool:
    """Whether somebody has written to standard input; never waits."""
    try:
        mode = os.fstat(0).st_mode
        if stat.S_ISREG(mode):
            return os.fstat(0).st_size > os.lseek(0, 0, os.SEEK_CUR)
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            count = array.array("i", [0])
            fcntl.ioctl(0, termios.FIONREAD, count)
            return count[0] > 0
    except OSError:
        pass
    return False


def quoted(text: str) -> str:
    """Text as an argument for a shell: in double quotes where that does, as people write it."""
    return shlex.quote(text) if re.search(r'["$`\\!]', text) else f'"{text}"'
