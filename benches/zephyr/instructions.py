# SPDX-License-Identifier: Apache-2.0
"""Counts the instructions per message in QEMU: see instructions/src/client.c.

With `-icount shift=0`, an instruction takes a nanosecond of the time that the image measures, so the figures
are the same in every run. With `sleep=off`, that time jumps ahead while the processor idles. The image
reports when it does, because the figure includes that time.
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import NamedTuple

BOARD = "mps2/an385"
# As in instructions/src/client.c.
ROUNDS_OF_PROFILE = 10
TIMEOUT_S = 300


class Cell(NamedTuple):
    case: str
    size: int
    depth: int

    def __str__(self):
        return f"{self.case.lower()},{self.size},{self.depth}"


class Count(NamedTuple):
    """Instructions per message."""
    tcp: int
    websocket: int
    # The processor idled, and the figure includes that time.
    idled: bool


CELLS = [Cell(case, int(size), int(depth)) for case, size, depth in re.findall(
    r"^CELL\((\w+), (\d+), (\d+)\)", (Path(__file__).parent / "instructions/src/cells.h").read_text(), re.M)]


def missing(environment):
    """Yields a sentence for each thing that is not there."""
    if not environment.get("ZEPHYR_BASE") and not (Path.home() / ".cmake/packages/Zephyr").is_dir():
        yield "there is no Zephyr: set ZEPHYR_BASE, or run `west zephyr-export`"
    if environment.get("ZEPHYR_TOOLCHAIN_VARIANT") == "host":
        yield "there is no toolchain for Arm: set ZEPHYR_TOOLCHAIN_VARIANT, or GNUARMEMB_TOOLCHAIN_PATH"
    for program in ("cmake", "ninja", "cargo", "qemu-system-arm", "nm"):
        if not shutil.which(program, path=environment.get("PATH")):
            yield f"there is no {program} on the PATH"


@contextlib.contextmanager
def qemu(elf, *arguments):
    """Runs an image. Yields the standard output of QEMU."""
    process = subprocess.Popen(
        ["qemu-system-arm", "-machine", "mps2-an385", "-icount", "shift=0,sleep=off", "-display", "none",
         "-monitor", "none", *arguments, "-kernel", elf],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        errors="replace")
    watchdog = threading.Timer(TIMEOUT_S, process.kill)
    watchdog.start()
    try:
        yield process.stdout
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()


# What TLS the client uses, as the image prints it.
VERSIONS = {"tls12": "TLS 1.2", "tls13": "TLS 1.3"}
HANDSHAKE = Cell("HANDSHAKE", 0, 1)


def read(lines):
    """Reads what an image prints, up to its end. Returns the instructions of each cell with each server, and whether
    the processor idled."""
    found = {}
    for line in lines:
        if match := re.match(r"RESULT (\w+) (\d+) (\d+) (\w+) (\d+) (\d+)", line):
            case, size, depth, of, instructions, idle = match.groups()
            found[Cell(case, int(size), int(depth)), of] = int(instructions), int(idle) > 0
        elif line.startswith("DONE"):
            return found
        else:
            print(f"instructions: {line.rstrip()}", flush=True)
    raise SystemExit(f"the image in QEMU stopped before its end; the last cells were {list(found)[-2:]}")


def counts(found, server):
    """Returns a Count for each cell of a server, from what an image has printed."""
    return {cell: Count(tcp, found[cell, server][0], idled or found[cell, server][1])
            for (cell, of), (tcp, idled) in found.items() if of == "tcp" and (cell, server) in found}


def measure(elf):
    """Returns a Count for each cell that the image has."""
    with qemu(elf, "-serial", "stdio") as output:
        return counts(read(output), "ws")


def measure_tls(elf):
    """Returns a Count for each cell, and for a handshake beside nothing, for each version of TLS."""
    with qemu(elf, "-serial", "stdio") as output:
        found = read(output)
    return {name: counts(found, version) | {HANDSHAKE: Count(0, *found[HANDSHAKE, version])}
            for version, name in VERSIONS.items() if (HANDSHAKE, version) in found}


def one_instruction_at_a_time():
    """Returns the option of QEMU for it, which QEMU 8.1 renamed."""
    text = subprocess.run(["qemu-system-arm", "-help"], capture_output=True, text=True, check=True).stdout
    return ["-singlestep"] if "-singlestep" in text else ["-accel", "tcg,one-insn-per-tb=on"]


def profile(elf, cell):
    """Returns the instructions per message by symbol, of plain TCP and of the WebSocket server, and the Count of
    the same run, or None if the image does not have the cell."""
    selected = re.search(r"^([0-9a-f]+) \w bench_selected$",
                         subprocess.run(["nm", elf], check=True, capture_output=True, text=True).stdout, re.M)[1]
    counters = []
    with tempfile.NamedTemporaryFile("r") as serial:
        with qemu(elf, "-device", f"loader,addr=0x{selected},data={CELLS.index(cell) + 1},data-len=4",
                  *one_instruction_at_a_time(), "-d", "exec,nochain", "-D", "/dev/stdout",
                  "-serial", f"file:{serial.name}") as trace:
            counting = None
            before = None
            for line in trace:
                # Trace 0: 0x7f… [flags/address/flags/flags] symbol
                if not line.startswith("Trace"):
                    continue
                where, _, symbol = line.partition("] ")
                # QEMU starts an instruction that accesses a device twice.
                if (address := where.split("/")[1]) == before:
                    continue
                before = address
                symbol = symbol.strip()
                if symbol == "mark_done":
                    break
                if symbol == "mark_end":
                    counting = None
                elif symbol == "mark_begin":
                    if counting is None:
                        counting = Counter()
                        counters.append(counting)
                elif counting is not None:
                    counting[symbol or "(no symbol)"] += 1
        count = counts(read(serial), "ws").get(cell)
    if count is None or len(counters) != 2:
        return None
    messages = ROUNDS_OF_PROFILE * cell.depth
    tcp, websocket = ({symbol: times / messages for symbol, times in counter.items()} for counter in counters)
    return tcp, websocket, count


def readable(symbols):
    """Returns the demangled name of each symbol, if c++filt is there."""
    if not shutil.which("c++filt"):
        return dict(zip(symbols, symbols))
    names = subprocess.run(["c++filt"], input="\n".join(symbols), capture_output=True, text=True, check=True)
    return dict(zip(symbols, names.stdout.split("\n")))


def print_profile(name, cell, tcp, websocket, count):
    print(f"\nInstructions per message of {name} by symbol, cell {cell}\n")
    print("on top of TCP      server   plain TCP  symbol")
    rows = sorted(((websocket.get(symbol, 0) - tcp.get(symbol, 0), symbol) for symbol in {*tcp, *websocket}),
                  reverse=True)
    total = sum(websocket.values()), sum(tcp.values())
    print(f"{total[0] - total[1]:13.1f} {total[0]:11.1f} {total[1]:11.1f}  total "
          f"(the image counted {count.websocket} and {count.tcp})")
    names = readable([symbol for _, symbol in rows])
    for beside, symbol in rows:
        print(f"{beside:13.1f} {websocket.get(symbol, 0):11.1f} {tcp.get(symbol, 0):11.1f}  {names[symbol]}")


def print_table(columns, cells=CELLS):
    """Prints what each server takes on top of plain TCP."""
    width = 2 + max(11, *map(len, columns))
    print(f"\nInstructions per message on top of those of plain TCP, on {BOARD} (a Cortex-M3)\n")
    print(f"{'case':10}{'bytes':>7}{'depth':>7}{'plain TCP':>{width}}"
          + "".join(f"{name:>{width}}" for name in columns))
    idled = False
    for cell in cells:
        counted = [column.get(cell) for column in columns.values()]
        tcp = next((str(count.tcp) for count in counted if count), "–")
        texts = [f"{count.websocket - count.tcp}{'*' if count.idled else ''}" if count else "–"
                 for count in counted]
        idled |= any(count and count.idled for count in counted)
        print(f"{cell.case.lower():10}{cell.size:7}{cell.depth:7}{tcp:>{width}}"
              + "".join(f"{text:>{width}}" for text in texts), flush=True)
    if idled:
        print("\n* includes time in which the processor idled")
