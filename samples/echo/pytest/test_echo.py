# SPDX-License-Identifier: Apache-2.0
"""Real clients of the sample. `dut` is the running image: pytest-twister-harness starts it."""

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

URL = "ws://127.0.0.1:18301/some/where"


@pytest.fixture(autouse=True, scope="session")
def listening(dut):
    dut.readlines_until(regex="Listening on", timeout=30)


def test_messages_come_back():
    with connect(URL) as one, connect(URL) as two:
        for message in ["", "héllo", "x" * 1400, b"", bytes(range(256))]:
            one.send(message)
            two.send(message)
            assert one.recv(timeout=10) == message
            assert two.recv(timeout=10) == message
        assert one.ping(b"still there").wait(timeout=10)
        with pytest.raises(InvalidStatus) as refused:
            connect(URL)
        assert refused.value.response.status_code == 503
        one.close(3000, "enough")
        assert one.close_code == 3000


def test_a_message_that_is_too_large_is_refused():
    with connect(URL) as client:
        client.send(bytes(1401))
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=10)
        assert closed.value.rcvd.code == 1009
    # And the slot is free again.
    for _ in range(20):
        with connect(URL) as client:
            client.send("again")
            assert client.recv(timeout=10) == "again"
