#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""on_terminal.py COLUMNS[,COLUMNS...] COMMAND...: runs it on a terminal of that width (24 rows), and prints what came.

Further widths are set one after the other, each once something was printed at the one before. What was drawn over the
same line (\\r) is on lines of its own. Ends with the command's status.
"""
import fcntl
import os
import pty
import re
import struct
import sys
import termios

from terminal import parts

widths = [int(width) for width in sys.argv[1].split(",")]
pid, terminal = pty.fork()
if pid == 0:
    # Its size is there before the command is.
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, widths[0], 0, 0))
    os.environ["TERM"] = "xterm"
    os.environ.pop("COLUMNS", None)
    os.execvp(sys.argv[2], sys.argv[2:])
out, at = b"", 1
for part in parts(terminal):
    out += part
    if at < len(widths):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, widths[at], 0, 0))
        out += b"\n== %d ==\n" % widths[at]
        at += 1
out = out.replace(b"\x1b[K", b"")
for line in re.split(rb"[\r\n]+", out):
    if line:
        print(line.decode("utf-8", "replace"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
