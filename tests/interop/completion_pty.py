#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Types into an interactive shell on a pseudo-terminal: completion_pty.py bash|zsh FOLDER LINE... where FOLDER holds the
completion's file; prints for each LINE what it is after a TAB. A LINE ends where TAB is pressed."""
import os
import pty
import re
import select
import sys
import time

LIMIT = 120


class Shell:
    def __init__(self, argv):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ.update(TERM="dumb", PS1="", LC_ALL="C", HISTFILE="/dev/null")
            os.execvp(argv[0], argv)

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self, pattern):
        """Until the pattern has come; what is before it is forgotten."""
        end = time.monotonic() + LIMIT
        while True:
            found = re.search(pattern, self.seen)
            if found:
                self.seen = self.seen[found.end():]
                return found
            if time.monotonic() > end:
                sys.exit(f"waited in vain for {pattern!r}, saw {self.seen!r}")
            if select.select([self.fd], [], [], 1)[0]:
                self.seen += os.read(self.fd, 65536)


shell, folder, lines = sys.argv[1], sys.argv[2], sys.argv[3:]
if shell == "bash":
    run = Shell(["bash", "--norc", "--noprofile", "-i"])
    run.type("bind 'set enable-bracketed-paste off'; bind 'set bell-style none'; bind 'set show-all-if-ambiguous off'\n")
    run.type(f". {folder}/tenon.bash\n")
else:
    run = Shell(["zsh", "-f", "-i"])
    run.type("unsetopt zle_bracketed_paste beep prompt_cr prompt_sp; unset zle_bracketed_paste\n")
    run.type(f"PS1=; fpath=({folder} $fpath); autoload -U compinit; compinit -u -D; setopt no_list_beep no_auto_menu; bindkey -e\n")
# Said in two parts, so that the echo of what was typed is not taken for it.
run.type("echo rea''dy\n")
run.wait(rb"ready")
for line in lines:
    run.type(line + "\t")
    # To the beginning of the line, so that the shell prints it instead of running it.
    run.type("\x01printf '<%s> ' G''OT \x05; echo E''ND\n")
    got = run.wait(rb"<GOT>((?: <[^>]*>)*) END")
    print(" ".join(re.findall(r"<([^>]*)>", got.group(1).decode())))
run.type("exit\n")
os.close(run.fd)
os.waitpid(run.pid, 0)
