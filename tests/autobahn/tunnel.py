# SPDX-License-Identifier: Apache-2.0
"""Connects clients without TLS to a server with TLS, because kosoku does not support TLS."""

import asyncio
import ssl
import threading


class Tunnel:
    """Listens on `port` of this machine, and connects to the server on another one."""

    def __init__(self, server_port, ca):
        self.server_port = server_port
        self.context = ssl.create_default_context(cafile=ca)
        # A device has no host name here.
        self.context.check_hostname = False
        self.loop = asyncio.new_event_loop()
        self.listener = self.loop.run_until_complete(asyncio.start_server(self.carry, "127.0.0.1", 0))
        self.port = self.listener.sockets[0].getsockname()[1]
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    async def carry(self, reader, writer):
        try:
            server = await asyncio.open_connection("127.0.0.1", self.server_port, ssl=self.context)
        except OSError:
            writer.close()
            return
        to_server = asyncio.create_task(copy(reader, server[1]))
        await copy(server[0], writer)
        # There is nowhere to send the rest of the client's data.
        to_server.cancel()


async def copy(reader, writer):
    """Copies to the end. TLS cannot end only one direction, so both end."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
