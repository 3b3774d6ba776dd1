/* SPDX-License-Identifier: Apache-2.0 */
#include <zephyr/sys/util.h>

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

#if defined(CONFIG_ARCH_POSIX)
/* Without -rt, simulated time jumps while nothing happens, and clients would seem silent or slow. */
static void be_patient(void)
{
	const uint32_t day_ms = 24 * 60 * 60 * 1000;
	struct wss_limits limits;
	const struct wss_config config = {.limits = &limits};

	wss_limits_init(&limits);
	limits.handshake_timeout_ms = day_ms;
	limits.client_timeout_ms = day_ms;
	limits.ping_interval_ms = 0;
	limits.send_timeout_ms = day_ms;
	limits.close_timeout_ms = day_ms;
	(void)wss_configure(wss_default_server(), &config);
}
#endif

int main(void)
{
	SYS_WSS_CONFIG config = {.port = WEBSOCKET_PORT, .isTLSEnabled = IS_ENABLED(CONFIG_WSS_TLS)};

#if defined(CONFIG_ARCH_POSIX)
	be_patient();
#endif
	(void)SYS_WSS_Initialize(&config, on_event, NULL);
	tcp_echo();
	return 0;
}
