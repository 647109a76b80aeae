# SPDX-License-Identifier: BSD-2-Clause
"""What a command says on a pseudo-terminal, to its end."""
import os


def parts(terminal):
    """What comes, until the command's end of the terminal is closed.

    A read that finds nothing looks for the end after it has looked for data (n_tty_read(), drivers/tty/n_tty.c of 6.1), so what was
    said in between, with the end, is still there when it tells of the end. The next read finds it.
    """
    ended = False
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            part = b""
        if part:
            yield part
        elif ended:
            return
        else:
            ended = True
