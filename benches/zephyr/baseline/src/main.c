/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp_echo.h"

int main(void)
{
	tcp_echo();
	return 0;
}
