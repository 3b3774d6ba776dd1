#!/usr/bin/env python3
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

# What the module's Kconfig refers to in Zephyr's, as far as it matters here.
AROUND = """
mainmenu "check"
config RUST_SUPPORTED
	def_bool y
config RUST
	bool "RUST"
config NET_TCP
	def_bool y
config NET_SOCKETS
	def_bool y
config NET_IPV4
	def_bool y
config NET_IPV6
	bool "NET_IPV6"
config SHELL
	bool "SHELL"
config ZVFS_POLL_MAX
	int "ZVFS_POLL_MAX"
config ZVFS_OPEN_MAX
	int "ZVFS_OPEN_MAX"
config NET_MAX_CONTEXTS
	int "NET_MAX_CONTEXTS"
config NET_MAX_CONN
	int "NET_MAX_CONN"
config NET_TCP_TIME_WAIT_DELAY
	int "NET_TCP_TIME_WAIT_DELAY"
rsource "Kconfig"
"""
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
      depends: {type: seq, sequence: [{type: str}]}
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
    """The module's Kconfig, with these options on."""
    with tempfile.TemporaryDirectory() as directory:
        top = ROOT / ".check-Kconfig"
        template = Path(directory) / "subsys/logging/Kconfig.template.log_config"
        template.parent.mkdir(parents=True)
        template.write_text(TEMPLATE)
        os.environ["srctree"] = directory
        try:
            top.write_text(AROUND)
            made = kconfiglib.Kconfig(str(top), warn_to_stderr=False)
        finally:
            top.unlink(missing_ok=True)
    for name in switched_on:
        made.syms[name].set_value("y")
    return made


def check_kconfig():
    made = kconfig(["WSS", "SHELL", "WSS_SHELL"])
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
        if name.startswith("WSS") and symbol.nodes and symbol.nodes[0].prompt:
            if name not in CONTRACT and not name.startswith("WSS_LOG") and symbol.nodes[0].help is None:
                if name not in NEEDS_NO_HELP:
                    yield f"Kconfig: {name} has no help"
    # What the Rust side believes without Zephyr.
    build = (ROOT / "zephyr/port/build.rs").read_text()
    for name, value in re.findall(r'\("(WSS_\w+)", ([\d_]+|true|false)\)', build):
        value = {"true": "y", "false": "n"}.get(value, value.replace("_", ""))
        symbol = made.syms.get(name)
        if symbol is None or not symbol.nodes:
            yield f"zephyr/port/build.rs: there is no option {name}"
        elif symbol.str_value not in (value, ""):
            yield f"zephyr/port/build.rs: {name} is {value}, and {symbol.str_value} in Kconfig"
    # A client that only listens is pinged before it is closed, and not at all without a timeout.
    made.syms["WSS_CLIENT_TIMEOUT_MS"].set_value("0")
    if made.syms["WSS_PING_INTERVAL_MS"].str_value != "0":
        yield "Kconfig: WSS_PING_INTERVAL_MS is not 0 with a timeout of 0"
    for timeout in (100, 999, 1000, 2999, 3000, 9999, 10000, 29999, 30000, 65535):
        made.syms["WSS_CLIENT_TIMEOUT_MS"].set_value(str(timeout))
        interval = int(made.syms["WSS_PING_INTERVAL_MS"].str_value)
        if not 0 < 2 * interval <= timeout:
            yield f"Kconfig: WSS_PING_INTERVAL_MS is {interval} with a time-out of {timeout}, and not half of it"
    # Enough of everything, for every number of servers and of clients, with IPv4 and IPv6.
    for servers, clients in itertools.product(range(1, 5), range(1, 65)):
        made.syms["WSS_SERVERS"].set_value(str(servers))
        made.syms["WSS_MAX_CLIENTS"].set_value(str(clients))
        polls = clients + 4
        needed = {
            "ZVFS_POLL_MAX": polls,
            # Those that were closed keep theirs for a while.
            "NET_MAX_CONTEXTS": servers * (polls + clients - 1),
            "ZVFS_OPEN_MAX": max(servers * (polls + 1), int(made.syms["NET_MAX_CONTEXTS"].str_value) + servers),
        }
        for name, least in needed.items():
            if int(made.syms[name].str_value) < least:
                yield f"Kconfig: {name} is {made.syms[name].str_value} for {servers} servers with {clients} clients " \
                    f"each, and not {least}"
    yield from check_references(made)


# Their prompt says it all.
NEEDS_NO_HELP = {
    "WSS_HANDSHAKE_TIMEOUT_MS", "WSS_SEND_TIMEOUT_MS", "WSS_CLOSE_TIMEOUT_MS", "WSS_HOLD_TIMEOUT_MS",
    "WSS_INIT_PRIORITY", "WSS_BACKLOG", "WSS_QUEUE_DEPTH",
}


def check_references(made):
    """Every option of ours that some file names is there."""
    files = [*ROOT.glob("zephyr/*.[ch]"), *ROOT.glob("zephyr/*.cmake"), ROOT / "zephyr/CMakeLists.txt"]
    for folder in ("samples", "tests/zephyr", "boards", "benches/zephyr"):
        for ending in ("c", "conf", "yaml", "cmake"):
            files += (ROOT / folder).rglob(f"*.{ending}")
    files.append(ROOT / "prj.conf")
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
    """Boards with settings are those that the sample is built for, and tests/zephyr/boards."""
    settings = {path.stem for path in (ROOT / "boards").glob("*.conf")}
    scenarios = yaml.safe_load((ROOT / "samples/echo_c/sample.yaml").read_text())["tests"].values()
    lists = {
        "samples/echo_c/sample.yaml": [board for scenario in scenarios for board in scenario["platform_allow"]],
        "tests/zephyr/boards": re.findall(r'^    "(\S+)": \(', (ROOT / "tests/zephyr/boards").read_text(), re.M),
    }
    for file, boards in lists.items():
        for name in settings ^ {board.replace("/", "_") for board in boards}:
            yield f"{file}: {name} is not in both this and boards/"


def main():
    problems = [*check_kconfig(), *check_boards(), *check_yaml(ROOT / "zephyr/module.yml", MODULE_SCHEMA)]
    scenarios = [*ROOT.glob("samples/*/sample.yaml"), *ROOT.glob("tests/zephyr/*/testcase.yaml")]
    for path in scenarios:
        problems += check_yaml(path, TWISTER_SCHEMA)
    west = yaml.safe_load((ROOT / "west.yml").read_text())["manifest"]
    revisions = {project["name"]: project["revision"] for project in west["projects"]}
    if revisions.get("zephyr") != "v4.3.0":
        problems.append("west.yml: Zephyr is not pinned to v4.3.0")
    # That of Zephyr is another one, of which the locks of applications in Rust are not.
    if not re.fullmatch("[0-9a-f]{40}", revisions.get("zephyr-lang-rust", "")):
        problems.append("west.yml: zephyr-lang-rust is not pinned to a commit")
    for problem in problems:
        print(problem)
    print(f"Kconfig, west.yml, module.yml and {len(scenarios)} scenarios: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
