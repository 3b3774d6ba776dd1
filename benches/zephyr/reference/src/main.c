/* SPDX-License-Identifier: Apache-2.0 */
#include <zephyr/net/http/server.h>

#include "tcp_echo.h"

int main(void)
{
	(void)http_server_start();
	tcp_echo();
	return 0;
}
