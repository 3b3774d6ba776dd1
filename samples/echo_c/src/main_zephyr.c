/* SPDX-License-Identifier: Apache-2.0 */
/* The echo server as a Zephyr application, configured by Kconfig. */
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>

#include "echo.h"

LOG_MODULE_REGISTER(echo, LOG_LEVEL_INF);

/* Prints to the log, to keep the order with the lines of the service, after the boot banner. */
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
	/* Kconfig has the port and all limits. If the service does not start, its log says why. */
	(void)SYS_WSS_Initialize(NULL, on_event, NULL);
	/* The service has its own threads. */
	return 0;
}
