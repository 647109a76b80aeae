#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs a command on a pseudo-terminal and answers its question: consent_pty.py ANSWER COMMAND... prints what it said, and
ends with its exit status. An answer of "EOF" ends the input (^D). $MEANWHILE is run before the answer is given."""
import os
import pty
import subprocess
import sys

from terminal import parts

answer = b"\x04" if sys.argv[1] == "EOF" else sys.argv[1].encode() + b"\n"
pid, fd = pty.fork()
if not pid:
    os.execvp(sys.argv[2], sys.argv[2:])
said, asked = b"", False
for part in parts(fd):
    said += part
    if not asked and b"[y/N] " in said:
        asked = True
        subprocess.run(os.environ.get("MEANWHILE", ""), shell=True, check=True, stdout=subprocess.DEVNULL)
        os.write(fd, answer)
sys.stdout.write(said.decode(errors="replace").replace("\r", ""))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
