# SPDX-License-Identifier: Apache-2.0
"""The clients of samples/device, against the same application on the host."""

import re
import subprocess
import sys

import pytest
from server import RELEASE, ROOT

sys.path.insert(0, str(ROOT / "samples" / "device" / "pytest"))
from test_device import *  # noqa: E402, F403


class Device:
    """The device as a process, with the output methods of pytest-twister-harness."""

    def __init__(self):
        self.process = subprocess.Popen(
            [str(RELEASE / "examples" / "device"), "18303"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def readlines_until(self, regex, timeout):
        del timeout  # that of pytest is enough
        for line in self.process.stdout:
            if re.search(regex, line):
                return
        pytest.fail(f"the device has ended before it said {regex}")


@pytest.fixture(scope="session")
def dut():
    device = Device()
    yield device
    # Its last client has stopped it.
    device.process.stdout.close()
    assert device.process.wait(timeout=10) == 0
