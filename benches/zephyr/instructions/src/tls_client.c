/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_client.h"

#include <string.h>

#include <zephyr/sys/printk.h>
#include <zephyr/sys/util.h>

#include <mbedtls/psa_util.h>
#include <mbedtls/ssl.h>

struct tls_bytes tls_outgoing, tls_incoming;

static mbedtls_ssl_config config;
static mbedtls_ssl_context session;

static int put(void *context, const unsigned char *data, size_t len)
{
	struct tls_bytes *to = &tls_outgoing;

	ARG_UNUSED(context);
	len = MIN(len, sizeof(to->data) - to->len);
	if (len == 0) {
		return MBEDTLS_ERR_SSL_WANT_WRITE;
	}
	memcpy(&to->data[to->len], data, len);
	to->len += len;
	return (int)len;
}

static int take(void *context, unsigned char *data, size_t len)
{
	struct tls_bytes *from = &tls_incoming;

	ARG_UNUSED(context);
	len = MIN(len, from->len);
	if (len == 0) {
		return MBEDTLS_ERR_SSL_WANT_READ;
	}
	memcpy(data, from->data, len);
	from->len -= len;
	memmove(from->data, &from->data[len], from->len);
	return (int)len;
}

static bool failed(const char *what, int error)
{
	printk("FAILED: %s: -0x%04x\n", what, (unsigned int)-error);
	return false;
}

bool tls_begin(int version)
{
	int error;

	tls_outgoing.len = 0;
	tls_incoming.len = 0;
	mbedtls_ssl_config_init(&config);
	mbedtls_ssl_init(&session);
	error = mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
					    MBEDTLS_SSL_PRESET_DEFAULT);
	if (error != 0) {
		return failed("TLS configuration", error);
	}
	mbedtls_ssl_conf_min_tls_version(&config, version);
	mbedtls_ssl_conf_max_tls_version(&config, version);
	mbedtls_ssl_conf_rng(&config, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
	/* The server is in this image. */
	mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_NONE);
	error = mbedtls_ssl_setup(&session, &config);
	if (error == 0) {
		error = mbedtls_ssl_set_hostname(&session, "localhost");
	}
	if (error != 0) {
		return failed("TLS session", error);
	}
	mbedtls_ssl_set_bio(&session, NULL, put, take, NULL);
	return true;
}

int tls_handshake(void)
{
	int error = mbedtls_ssl_handshake(&session);

	if (error == MBEDTLS_ERR_SSL_WANT_READ) {
		return 0;
	}
	if (error != 0) {
		(void)failed("TLS handshake", error);
		return -1;
	}
	return 1;
}

bool tls_encrypt(const uint8_t *data, size_t len)
{
	while (len > 0) {
		int count = mbedtls_ssl_write(&session, data, len);

		if (count < 0) {
			return failed("encrypt", count);
		}
		data += count;
		len -= count;
	}
	return true;
}

int tls_decrypt(uint8_t *data, size_t len)
{
	int count = mbedtls_ssl_read(&session, data, len);

	if (count == MBEDTLS_ERR_SSL_WANT_READ) {
		return 0;
	}
	if (count <= 0) {
		(void)failed("decrypt", count);
		return -1;
	}
	return count;
}

void tls_end(void)
{
	mbedtls_ssl_free(&session);
	mbedtls_ssl_config_free(&config);
}
