# SPDX-License-Identifier: BSD-2-Clause
"""A front-end whose memory is a file: usage: vhost_user_memory.py SOCKET FILE. Ends well if its frames are taken."""
import os
import socket
import sys

import vhost_guest

peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
file = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
os.ftruncate(file, vhost_guest.SIZE)
guest = vhost_guest.Guest(peer, file)
guest.show()
guest.kick()
if not vhost_guest.wait(lambda: guest.used(1) == vhost_guest.QUEUE, 10):
    raise SystemExit(f"of {vhost_guest.QUEUE} frames {guest.used(1)} are taken")
