/* SPDX-License-Identifier: Apache-2.0 */
#include <wss/sys_wss.h>

#include "tcp_echo.h"

static void on_event(SYS_WSS_EVENTS event, void *data, int32_t clientIndex, void *cookie)
{
	const SYS_WSS_RXDATA *rx = data;
	SYS_WSS_FRAME type;

	(void)cookie;
	if (event == SYS_WSS_EVENT_CLIENT_TXT_DATA_RX) {
		type = SYS_WSS_FRAME_TEXT;
	} else if (event == SYS_WSS_EVENT_CLIENT_BIN_DATA_RX) {
		type = SYS_WSS_FRAME_BINARY;
	} else {
		return;
	}
	(void)SYS_WSS_sendMessage(true, type, rx->data, (size_t)rx->datalen, clientIndex);
}

int main(void)
{
	SYS_WSS_CONFIG config = {.port = WEBSOCKET_PORT, .isTLSEnabled = false};

	(void)SYS_WSS_Initialize(&config, on_event, NULL);
	tcp_echo();
	return 0;
}
