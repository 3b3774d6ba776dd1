/* SPDX-License-Identifier: Apache-2.0 */
#include <zephyr/net/http/server.h>

#include "tcp_echo.h"
#include "websocket_server.h"

bool websocket_received(int fd, uint8_t *message, size_t len, enum websocket_opcode opcode)
{
	return websocket_send(fd, message, len, opcode);
}

int main(void)
{
	(void)http_server_start();
	tcp_echo();
	return 0;
}
