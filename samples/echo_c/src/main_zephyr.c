/* SPDX-License-Identifier: Apache-2.0 */
/* The echo server as an application of Zephyr, configured by Kconfig. */
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>

#include "echo.h"

LOG_MODULE_REGISTER(echo, LOG_LEVEL_INF);

/* Into the log, so that it comes in order with the lines of the service, and behind the boot banner. */
void print_event(int32_t clientIndex, const char *what)
{
	LOG_INF("client %d: %s", (int)clientIndex, what);
}

int main(void)
{
	verbose = IS_ENABLED(CONFIG_ECHO_VERBOSE);
	if (IS_ENABLED(CONFIG_WSS_STREAMING)) {
		static const struct wss_config config = {.on_event = on_piece, .events = PIECES};

		(void)wss_configure(wss_default_server(), &config);
		(void)SYS_WSS_Initialize(NULL, NULL, NULL);
		return 0;
	}
	/* The port, and every limit, is that of the configuration. The service says why it does not start. */
	(void)SYS_WSS_Initialize(NULL, on_event, NULL);
	/* It has threads of its own. */
	return 0;
}
