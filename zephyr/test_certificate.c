/* SPDX-License-Identifier: Apache-2.0 */
/* Registers the certificate that the build generates, with CONFIG_WSS_TLS_TEST_CERTIFICATE. */
#include <stdint.h>

#include <zephyr/init.h>
#include <zephyr/net/tls_credentials.h>

#define TAG 1

static const uint8_t cert[] = {
#include <wss_test_cert.inc>
};

static const uint8_t key[] = {
#include <wss_test_key.inc>
};

static int add(void)
{
	int error = tls_credential_add(TAG, TLS_CREDENTIAL_PUBLIC_CERTIFICATE, cert, sizeof(cert));

	return error != 0 ? error : tls_credential_add(TAG, TLS_CREDENTIAL_PRIVATE_KEY, key, sizeof(key));
}

SYS_INIT(add, APPLICATION, 0);
