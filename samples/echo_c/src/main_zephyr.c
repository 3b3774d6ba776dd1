/* SPDX-License-Identifier: Apache-2.0 */
/* The echo server as an application of Zephyr, configured by Kconfig. */
#include <zephyr/kernel.h>

#include "echo.h"

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
