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
	/* The port, and every limit, is that of the configuration. */
	if (SYS_WSS_Initialize(NULL, on_event, NULL) == SYS_MODULE_OBJ_INVALID) {
		/* The service has said why. */
		return 0;
	}
	/* It has threads of its own. */
	return 0;
}
