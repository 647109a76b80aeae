# SPDX-License-Identifier: BSD-2-Clause
"""The guests and cases of vm_run_test.sh: vm_run.py TENON FOLDER."""
import fcntl
import os
import pty
import resource
import signal
import socket
import struct
import subprocess
import sys
import termios
import time

tenon, folder = sys.argv[1:]
os.chdir(folder)
failures = 0


# ---- Guests ----

def out(port, value):
    return bytes([0x66, 0xBA, port & 0xFF, port >> 8, 0xB0, value, 0xEE])  # mov $port, %dx; mov $value, %al; out


def say(text):
    return b"".join(out(0x3F8, byte) for byte in text.encode())


HALT = b"\xf4\xeb\xfd"
POWER_OFF = out(0x600, 0x34) + HALT
RESET = out(0x602, 1) + HALT
TRIPLE_FAULT = b"\x0f\x0b"
PANIC = out(0x505, 1)
CRASH_LOADED = out(0x505, 2)
# Waits for the power button: 1: mov $0x603, %dx; in; test $1, %al; jz 1b
AWAIT_BUTTON = bytes([0x66, 0xBA, 0x03, 0x06, 0xEC, 0xA8, 0x01, 0x74, 0xF7])
# 72 times 4096 bytes to the console: mov $72, %ebx; 1: mov $0x1000000, %esi; mov $4096, %ecx; mov $0x3f8, %dx;
# rep outsb; dec %ebx; jnz 1b
MUCH = (b"\xbb\x48\x00\x00\x00" + b"\xbe\x00\x00\x00\x01" + b"\xb9\x00\x10\x00\x00" + b"\x66\xba\xf8\x03" +
        b"\xf3\x6e" + b"\xff\xcb" + b"\x75\xec")


def kernel(name, code):
    image = bytearray(2 * 512 + 8192)
    image[0x1F1] = 1
    struct.pack_into("<I", image, 0x1F4, 8192 // 16)
    struct.pack_into("<H", image, 0x1FE, 0xAA55)
    image[0x201] = 0x6A
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x206, 0x20F)
    image[0x211] = 1
    struct.pack_into("<I", image, 0x22C, 0x7FFFFFFF)
    struct.pack_into("<I", image, 0x230, 0x200000)
    image[0x234] = 1
    struct.pack_into("<HI", image, 0x236, 1, 2047)
    struct.pack_into("<QI", image, 0x258, 0x1000000, 0x100000)
    image[1024:1024 + 0x200] = b"x" * 0x200
    image[1024 + 0x200:1024 + 0x200 + len(code)] = code
    image[1024 + 0x200 + len(code):] = b"x" * (8192 - 0x200 - len(code))
    with open(name, "wb") as file:
        file.write(image)
    return name


# ---- Running them ----

def command(kernel_file, *options):
    return [tenon, "vm", "run", "--memory", "32M", "--kernel", kernel_file, *options]


def check(what, condition, detail=""):
    global failures
    if not condition:
        failures += 1
        print(f"failed: {what}: {detail}")


def expect(what, status, text, kernel_file, *options):
    done = subprocess.run(command(kernel_file, *options), stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    check(what, done.returncode == status and text in done.stderr.decode(),
          f"exit status {done.returncode}, expected {status} and '{text}'; it said {done.stderr.decode()!r}")


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def holds(path, text):
    return os.path.exists(path) and text in open(path, "rb").read()


def start(name, code, *options, **popen):
    """With a console file called NAME.console, and the guest's first words there."""
    console = name + ".console"
    machine = subprocess.Popen(command(kernel(name, say("up") + code), "--console", console, *options),
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, **popen)
    check(name, until(lambda: holds(console, b"up")), "the guest did not start")
    return machine


def end(what, machine, status, seconds=120):
    try:
        machine.wait(seconds)
    except subprocess.TimeoutExpired:
        machine.kill()
    check(what, machine.wait() == status, f"it ended with {machine.returncode}, expected {status}: " +
          (machine.stderr.read().decode() if machine.stderr else ""))


def is_pending(machine, number):
    mask = next(line.split()[1] for line in open(f"/proc/{machine.pid}/status") if line.startswith("ShdPnd:"))
    return int(mask, 16) >> (number - 1) & 1


def end_by_two(what, machine):
    """A second SIGTERM ends it at once, and not after the ten seconds that a guest has after one."""
    machine.terminate()
    check(what, until(lambda: not is_pending(machine, signal.SIGTERM)), "SIGTERM is not taken")
    machine.terminate()
    end(what, machine, 5, 9)


def test_exit_statuses():
    expect("power-off", 0, "", kernel("off", POWER_OFF))
    expect("reboot", 3, "the guest rebooted", kernel("reset", RESET), "--on-reboot", "exit")
    expect("triple fault", 3, "triple fault", kernel("fault", TRIPLE_FAULT), "--on-reboot", "exit")
    expect("panic", 4, "kernel panicked", kernel("panic", PANIC + HALT))
    expect("panic, ignored", 0, "kernel panicked", kernel("panic2", PANIC + POWER_OFF), "--on-panic", "ignore")
    expect("kdump", 0, "its own crash kernel", kernel("kdump", CRASH_LOADED + POWER_OFF))
    expect("no kernel", 1, "No such file", "absent")
    expect("policy", 2, "expected restart or exit", "off", "--on-reboot", "ignore")
    expect("policy", 2, "expected restart, exit or ignore", "off", "--on-panic", "sleep")
    machine = start("restarts", PANIC + HALT, "--on-panic", "restart")
    check("restart after a panic", until(lambda: holds("restarts.console", b"upup")))
    end_by_two("a second signal", machine)


def test_signals():
    for number in signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
        machine = start(f"button{number}", AWAIT_BUTTON + POWER_OFF)
        machine.send_signal(number)
        end(f"signal {number} presses the power button", machine, 0)
    machine = start("deaf", HALT)
    end_by_two("a guest that is deaf, and two signals", machine)
    machine = start("nohup", AWAIT_BUTTON + POWER_OFF,
                    preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    machine.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    check("nohup", machine.poll() is None, "SIGHUP counted though it was ignored")
    machine.terminate()
    end("nohup, and SIGTERM", machine, 0)


def test_signals_while_it_starts():
    """A back-end that takes the connection and never answers; one whose queue is full."""
    silent = socket.socket(socket.AF_UNIX)
    silent.bind("silent.sock")
    silent.listen(0)
    waiting = []
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTERM:
        machine = subprocess.Popen(command("off", "--disk", "vhost-user:silent.sock"), stdin=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        waiting.append(machine)
        time.sleep(0.5)
        machine.send_signal(number)
        end("a signal while it starts", machine, -number)


def test_paused_console():
    """288 KiB for a pipe that nobody reads: the guest comes to its end."""
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, 4096)
    with open("paused.err", "wb") as errors:
        machine = subprocess.Popen(command(kernel("much", MUCH + POWER_OFF)), stdin=subprocess.DEVNULL,
                                   stdout=ends[1], stderr=errors)
    end("a console that nobody reads", machine, 0, 200)
    said = open("paused.err").read()
    check("loss is told", "does not keep up" in said and "not read by anybody" in said, said)
    os.close(ends[0])
    os.close(ends[1])
    os.mkfifo("fifo")
    expect("a FIFO without a reader", 0, "", "off", "--console", "fifo")
    machine = start("full", AWAIT_BUTTON + say("0123456789") + POWER_OFF)
    resource.prlimit(machine.pid, resource.RLIMIT_FSIZE, (8, 8))
    machine.terminate()
    end("a disk that is full", machine, 0)
    check("a disk that is full", open("full.console").read() == "up012345", open("full.console").read())


def test_rotated_console():
    machine = start("rotated", AWAIT_BUTTON + say("down") + POWER_OFF)
    os.truncate("rotated.console", 0)
    machine.terminate()
    end("a console file that is rotated", machine, 0)
    check("a console file that is rotated", open("rotated.console").read() == "down")
    with open("disk.qcow2", "wb") as file:
        file.write(b"QFI\xfb\0\0\0\3" + bytes(65528))
    expect("a console on a disk", 1, "holds a qcow2", "off", "--console", "disk.qcow2")


def on_terminal(kernel_file, *options, **popen):
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)

    def own_session():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    machine = subprocess.Popen(command(kernel_file, *options), stdin=slave, stdout=slave, stderr=subprocess.PIPE,
                               preexec_fn=popen.get("preexec", own_session))
    return machine, master, slave, before


def is_raw(terminal):
    return not termios.tcgetattr(terminal)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)


def test_terminal():
    button = kernel("tty", say("up") + AWAIT_BUTTON + POWER_OFF)
    machine, master, slave, before = on_terminal(button)
    check("raw mode", until(lambda: is_raw(slave)))
    machine.send_signal(signal.SIGSTOP)
    until(lambda: open(f"/proc/{machine.pid}/stat").read().split()[2] == "T")
    termios.tcsetattr(slave, termios.TCSANOW, before)
    machine.send_signal(signal.SIGCONT)
    check("raw mode after SIGSTOP and SIGCONT", until(lambda: is_raw(slave)))
    os.write(master, b"\1b")
    end("Ctrl-A b", machine, 0)
    check("the terminal is as before", termios.tcgetattr(slave)[3] == before[3])
    os.close(master)
    os.close(slave)

    for number in signal.SIGQUIT, signal.SIGUSR1, signal.SIGALRM, signal.SIGXCPU:
        machine, master, slave, before = on_terminal(button)
        until(lambda: is_raw(slave))
        machine.send_signal(number)
        end("a signal that ends any program", machine, -number)
        check("the terminal is as before", termios.tcgetattr(slave)[3] == before[3], number)
        os.close(master)
        os.close(slave)

    machine, master, slave, before = on_terminal(kernel("deaf2", HALT))
    until(lambda: is_raw(slave))
    os.write(master, b"x" * 1000 + b"\1x")
    end("Ctrl-A x, and a guest that takes no keys", machine, 5)
    os.close(master)
    os.close(slave)

    machine, master, slave, before = on_terminal(button)
    until(lambda: is_raw(slave))
    os.close(slave)
    os.close(master)  # the terminal is hung up: SIGHUP to its session leader, the power button
    end("a terminal that goes away", machine, 0)

    def ignoring():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    machine, master, slave, before = on_terminal(button, preexec=ignoring)
    until(lambda: is_raw(slave))
    os.close(slave)
    os.close(master)
    time.sleep(0.5)
    check("nohup on a terminal that goes away", machine.poll() is None, machine.returncode)
    machine.terminate()
    end("nohup on a terminal that goes away", machine, 0)


def test_terminal_of_others():
    """In the background the terminal is left alone, and nobody is stopped; the foreground makes it raw."""
    def background():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        child = os.fork()
        if not child:
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            os.setpgid(0, 0)
            return
        os.closerange(3, 1000)  # who starts us waits for the end of one of them
        while not os.path.exists("foreground"):
            time.sleep(0.01)
        os.tcsetpgrp(0, child)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    machine, master, slave, before = on_terminal("tty", preexec=background)
    seen = b""
    while b"up" not in seen:  # the two bytes may come apart
        seen += os.read(master, 100)
    os.write(master, b"\1b")
    time.sleep(0.7)
    check("in the background", not is_raw(slave) and machine.poll() is None, machine.returncode)
    termios.tcflush(slave, termios.TCIFLUSH)
    open("foreground", "w").close()
    check("in the foreground", until(lambda: is_raw(slave)))
    os.write(master, b"\1b")
    end("in the foreground", machine, 0)
    os.close(master)
    os.close(slave)


def test_disks():
    open("empty.img", "wb").close()
    expect("a disk of no size", 1, "a disk of 0 bytes", "off", "--disk", "empty.img")
    expect("a qcow2", 1, "qemu-img convert -f qcow2 -O raw disk.qcow2", "off", "--disk", "disk.qcow2")
    expect("a qcow2 as it is", 0, "", "off", "--disk", "disk.qcow2,raw")
    expect("a qcow2 as it is", 0, "", "off", "--disk", "disk.qcow2,ro,format=raw")
    with open("odd.qcow2", "wb") as file:
        file.write(b"QFI\xfb\0\0\0\3" + bytes(100001))
    expect("a qcow2 of an odd size", 1, "qemu-img convert", "off", "--disk", "odd.qcow2")
    expect("no option", 1, "options that may follow a file are ,ro", "off", "--disk", "disk.img,readonly")
    os.mkfifo("disk.fifo")
    expect("a FIFO", 1, "disk.fifo", "off", "--disk", "disk.fifo")
    with open("disk.img", "wb") as file:
        file.truncate(1 << 20)
    os.chmod("disk.img", 0o444)
    reader = start("reader", AWAIT_BUTTON + POWER_OFF, "--disk", "disk.img,ro")
    expect("a second reader", 0, "", "off", "--disk", "disk.img,ro")
    os.chmod("disk.img", 0o644)
    expect("a writer besides", 1, "disk.img", "off", "--disk", "disk.img")
    reader.terminate()
    end("the reader", reader, 0)
    expect("a writer", 0, "", "off", "--disk", "disk.img")
    many = [word for i in range(32) for word in ("--disk", f"{i}.img,ro")]
    for i in range(32):
        os.link("disk.img", f"{i}.img")
    expect("31 disks", 0, "", "off", *many[:62])
    expect("32 disks", 1, "room for 31", "off", *many)


for case in (test_exit_statuses, test_signals, test_signals_while_it_starts, test_paused_console, test_rotated_console,
             test_terminal, test_terminal_of_others, test_disks):
    began = time.monotonic()
    case()
    print(f"{case.__name__}: {time.monotonic() - began:.1f} s")
sys.exit(failures > 0)
