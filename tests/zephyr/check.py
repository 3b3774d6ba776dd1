#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what Zephyr will read, without Zephyr: Kconfig, its defaults, and YAML.

    python3 -m venv target/venv && target/venv/bin/pip install -r tests/zephyr/requirements.txt
    target/venv/bin/python tests/zephyr/check.py

Every difference is one line of output, and makes the exit status 1.
"""

import itertools
import logging
import os
import re
import sys
import tempfile
from pathlib import Path

import kconfiglib
import yaml
from pykwalify.core import Core
from pykwalify.errors import SchemaError

ROOT = Path(__file__).resolve().parents[2]

# The symbols of Zephyr's Kconfig that the module refers to, as far as needed here.
SWITCHES = ("RUST", "NETWORKING", "NET_TCP", "NET_SOCKETS", "NET_IPV4", "NET_IPV6", "SHELL", "SIZE_OPTIMIZATIONS",
            "NET_BUF_POOL_USAGE")
NUMBERS = (
    "ZVFS_POLL_MAX", "ZVFS_OPEN_MAX", "NET_MAX_CONTEXTS", "NET_MAX_CONN", "NET_TCP_TIME_WAIT_DELAY",
    "NET_TCP_PKT_ALLOC_TIMEOUT", "NET_TCP_MAX_SEND_WINDOW_SIZE", "NET_TCP_MAX_RECV_WINDOW_SIZE",
    "NET_BUF_TX_COUNT", "NET_BUF_RX_COUNT", "NET_PKT_TX_COUNT", "NET_PKT_RX_COUNT",
    "MAIN_STACK_SIZE", "NET_PKT_BUF_TX_DATA_POOL_SIZE", "NET_PKT_BUF_RX_DATA_POOL_SIZE",
)
AROUND = "".join([
    'mainmenu "check"\n',
    *(f'config {name}\n\tbool "{name}"\n' for name in SWITCHES),
    *(f'config {name}\n\tint "{name}"\n' for name in NUMBERS),
    'config MBEDTLS_USER_CONFIG_FILE\n\tstring "MBEDTLS_USER_CONFIG_FILE"\n',
    'source "wss/Kconfig"\n',
])
# For Zephyr's network buffers.
BUFFER_SIZE = 128
TEMPLATE = """
config $(module)_LOG_LEVEL
	int "log level"
	default 3
"""

# The contract: option, default, range.
CONTRACT = {
    "WSS_PORT": ("8000", "1", "65535"),
    "WSS_MAX_CLIENTS": ("2", "1", "64"),
    "WSS_RX_BUFFER_SIZE": ("1400", "256", "65535"),
    "WSS_HANDSHAKE_SIZE": ("4096", None, None),
    "WSS_CLIENT_TIMEOUT_MS": ("30000", "0", "65535"),
    "WSS_PING_INTERVAL_MS": ("15000", "0", None),
    "WSS_START_AT_BOOT": ("y", None, None),
    "WSS_THREAD_STACK_SIZE": ("4096", None, None),
    "WSS_THREAD_PRIORITY": (None, None, None),
}

MODULE_SCHEMA = """
type: map
mapping:
  name: {required: true, type: str}
  build:
    required: true
    type: map
    mapping:
      cmake: {required: true, type: str}
      kconfig: {required: true, type: str}
  samples: {type: seq, sequence: [{type: str}]}
  tests: {type: seq, sequence: [{type: str}]}
"""
# Of testcase.yaml and sample.yaml: what is used of it here.
SCENARIO = """
      type: map
      mapping: &scenario
        tags: {type: any}
        platform_allow: {type: any}
        integration_platforms: {type: seq, sequence: [{type: str}]}
        build_only: {type: bool}
        timeout: {type: int}
        harness: {type: str}
        harness_config: {type: any}
        extra_args: {type: any}
        extra_configs: {type: seq, sequence: [{type: str}]}
        depends_on: {type: any}
        filter: {type: str}
"""
TWISTER_SCHEMA = f"""
type: map
mapping:
  sample: {{type: map, mapping: {{name: {{type: str, required: true}}, description: {{type: str}}}}}}
  common: {SCENARIO}
  tests:
    required: true
    type: map
    mapping:
      regex;(([a-z0-9_.]+)): {{type: map, mapping: *scenario}}
"""


def kconfig(switched_on):
    """Returns the module's Kconfig with these options on."""
    with tempfile.TemporaryDirectory() as directory:
        files = {
            "Kconfig": AROUND,
            # Only Zephyr's own kconfiglib knows `configdefault`. To add the default to an option that is
            # defined before means the same here.
            "wss/Kconfig": re.sub(r"^configdefault ", "config ", (ROOT / "zephyr/Kconfig").read_text(), flags=re.M),
            "wss/Kconfig.tls": (ROOT / "zephyr/Kconfig.tls").read_text(),
            "subsys/logging/Kconfig.template.log_config": TEMPLATE,
        }
        for name, text in files.items():
            file = Path(directory) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        os.environ["srctree"] = directory
        made = kconfiglib.Kconfig("Kconfig", warn_to_stderr=False)
    for name in switched_on:
        made.syms[name].set_value("y")
    return made


def check_kconfig():
    made = kconfig(["WSS", "SHELL", "WSS_SHELL", "WSS_TLS", "NET_IPV4"])
    for name in ("NETWORKING", "NET_TCP", "NET_SOCKETS"):
        if made.syms[name].str_value != "y":
            yield f"Kconfig: WSS does not imply {name}"
    yield from (f"Kconfig: {warning}" for warning in made.warnings)
    for name, (default, low, high) in CONTRACT.items():
        symbol = made.syms.get(name)
        if symbol is None or not symbol.nodes:
            yield f"Kconfig: {name} is missing"
            continue
        if default is not None and symbol.str_value != default:
            yield f"Kconfig: {name} is {symbol.str_value} by default, and not {default}"
        if low or high:
            got = [bound.str_value for bound in symbol.ranges[0][:2]] if symbol.ranges else [None, None]
            for want, have in zip((low, high), got):
                if want is not None and want != have:
                    yield f"Kconfig: {name} is in {got}, and not in {[low, high]}"
    for name, symbol in made.syms.items():
        if not name.startswith("WSS") or name.startswith("WSS_LOG") or not symbol.nodes:
            continue
        if symbol.nodes[0].help is None:
            yield f"Kconfig: {name} has no help"
        if symbol.type == kconfiglib.INT and symbol.nodes[0].prompt and not symbol.ranges:
            yield f"Kconfig: {name} has no range"
    # The defaults that the Rust side uses without Zephyr.
    defaults = kconfig(["WSS", "NET_IPV4"])
    build = (ROOT / "zephyr/port/build.rs").read_text()
    for name, value in re.findall(r'\("(WSS_\w+)", ([\d_]+|true|false)\)', build):
        value = {"true": "y", "false": "n"}.get(value, value.replace("_", ""))
        # Without the options that the check has enabled.
        symbol = defaults.syms.get(name)
        if symbol is None or not symbol.nodes:
            yield f"zephyr/port/build.rs: there is no option {name}"
        elif symbol.str_value not in (value, ""):
            yield f"zephyr/port/build.rs: {name} is {value}, and {symbol.str_value} in Kconfig"
    # A client that only listens is pinged before the timeout, and never pinged without one.
    made.syms["WSS_CLIENT_TIMEOUT_MS"].set_value("0")
    if made.syms["WSS_PING_INTERVAL_MS"].str_value != "0":
        yield "Kconfig: WSS_PING_INTERVAL_MS is not 0 with a timeout of 0"
    for timeout in (100, 999, 1000, 2999, 3000, 9999, 10000, 29999, 30000, 65535):
        made.syms["WSS_CLIENT_TIMEOUT_MS"].set_value(str(timeout))
        interval = int(made.syms["WSS_PING_INTERVAL_MS"].str_value)
        if not 0 < 2 * interval <= timeout:
            yield f"Kconfig: WSS_PING_INTERVAL_MS is {interval} with a timeout of {timeout}, and not half of it"
    # The defaults are sufficient for every number of servers and of clients, with IPv4 and IPv6.
    made.syms["NET_IPV6"].set_value("y")
    for servers, clients in itertools.product(range(1, 5), range(1, 65)):
        made.syms["WSS_SERVERS"].set_value(str(servers))
        made.syms["WSS_MAX_CLIENTS"].set_value(str(clients))
        polls = clients + 4
        needed = {
            "ZVFS_POLL_MAX": polls,
            # Closed connections keep theirs for a while.
            "NET_MAX_CONTEXTS": servers * (polls + clients - 1),
            "ZVFS_OPEN_MAX": max(servers * (polls + 1), int(made.syms["NET_MAX_CONTEXTS"].str_value) + servers),
        }
        # A window of buffers for each client, and two frames; the pools grow up to 16 clients.
        window = -(-int(made.syms["NET_TCP_MAX_SEND_WINDOW_SIZE"].str_value) // BUFFER_SIZE)
        for way in ("TX", "RX"):
            needed[f"NET_BUF_{way}_COUNT"] = min(servers * clients, 16) * window + 24
            needed[f"NET_PKT_BUF_{way}_DATA_POOL_SIZE"] = needed[f"NET_BUF_{way}_COUNT"] * BUFFER_SIZE
            needed[f"NET_PKT_{way}_COUNT"] = min(servers * clients, 16) * 2 + 10
        for name, least in needed.items():
            if int(made.syms[name].str_value) < least:
                yield f"Kconfig: {name} is {made.syms[name].str_value} for {servers} servers with {clients} clients " \
                    f"each, and not {least}"
    yield from check_references(made)


def check_references(made):
    """Checks that every option of the module that a file names exists."""
    files = [*ROOT.glob("zephyr/*.[ch]"), *ROOT.glob("zephyr/*.cmake"), ROOT / "zephyr/CMakeLists.txt"]
    for folder in ("samples", "tests/zephyr", "boards", "benches/zephyr"):
        for ending in ("c", "conf", "yaml", "cmake"):
            files += (ROOT / folder).rglob(f"*.{ending}")
    files += [ROOT / "prj.conf", ROOT / "overlay-tls.conf"]
    for file in files:
        for name in set(re.findall(r"CONFIG_(WSS\w*)", file.read_text())):
            if name.startswith("WSS_LOG_LEVEL_"):
                continue
            if name not in made.syms or not made.syms[name].nodes:
                yield f"{file.relative_to(ROOT)}: there is no option {name}"


def check_yaml(path, schema):
    data = yaml.safe_load(path.read_text())
    logging.disable(logging.CRITICAL)
    try:
        Core(source_data=data, schema_data=yaml.safe_load(schema)).validate()
    except SchemaError as error:
        yield f"{path.relative_to(ROOT)}: {error.msg}"
    for section in ("samples", "tests"):
        for folder in data.get(section) or [] if isinstance(data.get(section), list) else []:
            if not (ROOT / folder).is_dir():
                yield f"{path.relative_to(ROOT)}: there is no {folder}"


def check_boards():
    """Checks that the boards with settings are those of the sample, and of tests/zephyr/boards."""
    settings = {path.stem for path in (ROOT / "boards").glob("*.conf")}
    scenarios = yaml.safe_load((ROOT / "samples/echo_c/sample.yaml").read_text())["tests"].values()
    lists = {
        "samples/echo_c/sample.yaml": [board for scenario in scenarios for board in scenario["platform_allow"]],
        "tests/zephyr/boards": re.findall(r'^    "(\S+)": \(', (ROOT / "tests/zephyr/boards").read_text(), re.M),
    }
    for file, boards in lists.items():
        for name in settings ^ {board.replace("/", "_") for board in boards}:
            yield f"{file}: {name} is not in both this and boards/"
    # Every sample has the settings of the root, so that it can be copied alone.
    ours = {path.name: path.read_bytes() for path in (ROOT / "boards").iterdir()}
    overlay = (ROOT / "overlay-tls.conf").read_bytes()
    for copy in ROOT.glob("samples/*/overlay-tls.conf"):
        if copy.read_bytes() != overlay:
            yield f"{copy.relative_to(ROOT)} differs from overlay-tls.conf"
    for sample in sorted(path.parent for path in ROOT.glob("samples/*/sample.yaml")):
        copies = {path.name: path.read_bytes() for path in (sample / "boards").iterdir()}
        for name in sorted(ours.keys() | copies.keys()):
            if ours.get(name) != copies.get(name):
                yield f"{sample.relative_to(ROOT)}/boards/{name} differs from boards/{name}"


def main():
    problems = [*check_kconfig(), *check_boards(), *check_yaml(ROOT / "zephyr/module.yml", MODULE_SCHEMA)]
    scenarios = [*ROOT.glob("samples/*/sample.yaml"), *ROOT.glob("tests/zephyr/*/testcase.yaml")]
    for path in scenarios:
        problems += check_yaml(path, TWISTER_SCHEMA)
    west = yaml.safe_load((ROOT / "west.yml").read_text())["manifest"]
    revisions = {project["name"]: project["revision"] for project in west["projects"]}
    if revisions.get("zephyr") != "v4.3.0":
        problems.append("west.yml: Zephyr is not pinned to v4.3.0")
    # Zephyr's own revision is different, and not the one in the lock files of applications in Rust.
    if not re.fullmatch("[0-9a-f]{40}", revisions.get("zephyr-lang-rust", "")):
        problems.append("west.yml: zephyr-lang-rust is not pinned to a commit")
    for problem in problems:
        print(problem)
    print(f"Kconfig, west.yml, module.yml and {len(scenarios)} scenarios: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
