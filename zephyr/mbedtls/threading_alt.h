/* SPDX-License-Identifier: Apache-2.0 */
/* The mutexes of Mbed TLS (MBEDTLS_THREADING_ALT). */
#ifndef WSS_THREADING_ALT_H
#define WSS_THREADING_ALT_H

#include <zephyr/kernel.h>

typedef struct {
	struct k_mutex mutex;
} mbedtls_threading_mutex_t;

#endif /* WSS_THREADING_ALT_H */
