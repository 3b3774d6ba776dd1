/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zephyr/init.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/net/tls_credentials.h>

#include <mbedtls/memory_buffer_alloc.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/platform.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/ssl.h>
#include <mbedtls/threading.h>
#include <mbedtls/x509_crt.h>

#if defined(CONFIG_MBEDTLS_DEBUG)
#include <zephyr_mbedtls_priv.h>
#endif

#include <wss/wss.h>

LOG_MODULE_DECLARE(wss, CONFIG_WSS_LOG_LEVEL);

#if !defined(MBEDTLS_THREADING_ALT) || MBEDTLS_SSL_IN_CONTENT_LEN != CONFIG_WSS_TLS_IN_SIZE
#error "CONFIG_MBEDTLS_USER_CONFIG_FILE must include wss_mbedtls_config.h"
#endif

#define SESSIONS (CONFIG_WSS_SERVERS * CONFIG_WSS_MAX_CLIENTS)

/* The credentials with the tags in CONFIG_WSS_TLS_SEC_TAGS. */
static const struct wss_tls_credentials of_tags = {.client_auth = CONFIG_WSS_TLS_CLIENT_AUTH};

static struct server {
	bool is_used;
	mbedtls_ssl_config config;
	mbedtls_x509_crt cert;
	mbedtls_x509_crt ca;
	mbedtls_pk_context key;
} servers[CONFIG_WSS_SERVERS];

static struct session {
	/* The Mbed TLS objects are set up. */
	bool is_used;
	mbedtls_ssl_context ssl;
	/* Why it failed; before the handshake: that it could not be reset. */
	int error;
	int alert;
	/* The stream has ended. */
	bool is_over;
} sessions[SESSIONS];

static const struct wss_tls_socket *sockets;

/* The mutexes of Mbed TLS. */

static void mutex_init(mbedtls_threading_mutex_t *mutex)
{
	(void)k_mutex_init(&mutex->mutex);
}

static void mutex_free(mbedtls_threading_mutex_t *mutex)
{
	ARG_UNUSED(mutex);
}

static int mutex_lock(mbedtls_threading_mutex_t *mutex)
{
	return k_mutex_lock(&mutex->mutex, K_FOREVER) == 0 ? 0 : MBEDTLS_ERR_THREADING_MUTEX_ERROR;
}

static int mutex_unlock(mbedtls_threading_mutex_t *mutex)
{
	return k_mutex_unlock(&mutex->mutex) == 0 ? 0 : MBEDTLS_ERR_THREADING_MUTEX_ERROR;
}

/*
 * Memory for Mbed TLS, as measured (docs/benchmarks.md). Each block has a header of 8 words. A session takes the most
 * memory during its handshake, or with TLS 1.3 after it.
 */
#define WORDS(n)     ((n) * sizeof(void *))
#define BUFFER(size) ((size) + 128 + WORDS(8))
#define SESSION_HEAP                                                                                         \
	(BUFFER(CONFIG_WSS_TLS_IN_SIZE) + BUFFER(CONFIG_WSS_TLS_OUT_SIZE) + 1024 + WORDS(128) +              \
	 CONFIG_WSS_TLS_CLIENT_CERTIFICATE_SIZE)
/* The elliptic curves of Mbed TLS itself need more. */
#if defined(CONFIG_MBEDTLS_PSA_P256M_DRIVER_ENABLED)
#define HANDSHAKE_HEAP (512 + WORDS(128) + CONFIG_WSS_TLS_CLIENT_CERTIFICATE_SIZE)
#else
#define HANDSHAKE_HEAP (4096 + WORDS(512) + CONFIG_WSS_TLS_CLIENT_CERTIFICATE_SIZE)
#endif
#define SERVER_HEAP (512 + WORDS(128) + CONFIG_WSS_TLS_CERTIFICATE_SIZE)
#define HEAP                                                                                                 \
	ROUND_UP(SESSIONS * SESSION_HEAP + CONFIG_WSS_TLS_HANDSHAKES * HANDSHAKE_HEAP +                      \
			 CONFIG_WSS_SERVERS * SERVER_HEAP,                                                   \
		 sizeof(void *))

#if defined(CONFIG_MBEDTLS_ENABLE_HEAP)
#define HEAP_SIZE CONFIG_MBEDTLS_HEAP_SIZE
BUILD_ASSERT(CONFIG_MBEDTLS_HEAP_SIZE >= HEAP,
	     "CONFIG_MBEDTLS_HEAP_SIZE is too small for the clients and handshakes of the WSS service: without "
	     "CONFIG_MBEDTLS_ENABLE_HEAP, WSS has a heap that is large enough");
#else
#define HEAP_SIZE HEAP
static uint8_t heap[HEAP] __aligned(sizeof(void *));
#endif

/* Zephyr initialises Mbed TLS after the kernel. */
static int prepare(void)
{
	mbedtls_threading_set_alt(mutex_init, mutex_free, mutex_lock, mutex_unlock);
#if !defined(CONFIG_MBEDTLS_ENABLE_HEAP)
	mbedtls_memory_buffer_alloc_init(heap, sizeof(heap));
#endif
	return 0;
}

SYS_INIT(prepare, PRE_KERNEL_2, CONFIG_KERNEL_INIT_PRIORITY_DEFAULT);

/* For measuring the sizes above: CONFIG_MBEDTLS_MEMORY_DEBUG=y. */
static void log_heap(const char *when)
{
#if defined(MBEDTLS_MEMORY_DEBUG)
	size_t used, blocks, most, most_blocks;

	mbedtls_memory_buffer_alloc_cur_get(&used, &blocks);
	mbedtls_memory_buffer_alloc_max_get(&most, &most_blocks);
	LOG_INF("TLS heap %s: %d bytes, at most %d, of %d", when, (int)(used + blocks * WORDS(8)),
		(int)(most + most_blocks * WORDS(8)), (int)HEAP_SIZE);
	mbedtls_memory_buffer_alloc_max_reset();
#else
	ARG_UNUSED(when);
#endif
}

/* Credentials. */

/* Parses data into an object of Mbed TLS. Returns 0 or an error of Mbed TLS. */
typedef int (*parser)(void *object, const uint8_t *data, size_t len);

static int parse_cert(void *object, const uint8_t *data, size_t len)
{
	return mbedtls_x509_crt_parse(object, data, len);
}

static int parse_key(void *object, const uint8_t *data, size_t len)
{
	return mbedtls_pk_parse_key(object, data, len, NULL, 0, mbedtls_psa_get_random,
				    MBEDTLS_PSA_RANDOM_STATE);
}

/* Parses the credential of a tag, if there is one. Returns 1, 0, or an error of Mbed TLS. */
static int parse_tag(sec_tag_t tag, enum tls_credential_type type, parser parse, void *object)
{
	size_t len = 0;
	uint8_t *copy;
	int error;

	if (tls_credential_get(tag, type, NULL, &len) != -EFBIG) {
		return 0;
	}
	copy = mbedtls_calloc(1, len);
	if (copy == NULL) {
		return MBEDTLS_ERR_SSL_ALLOC_FAILED;
	}
	error = tls_credential_get(tag, type, copy, &len) == 0 ? parse(object, copy, len)
							       : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
	mbedtls_platform_zeroize(copy, len);
	mbedtls_free(copy);
	return error == 0 ? 1 : error;
}

/* Parses the given data, or the credentials of all tags. Returns their number, or an error of Mbed TLS, which is
 * logged.
 */
static int parse_all(const char *what, const uint8_t *data, size_t len, bool is_of_tags,
		     enum tls_credential_type type, parser parse, void *object)
{
	const char *tags = CONFIG_WSS_TLS_SEC_TAGS;
	int count = 0;
	int parsed = 0;

	if (!is_of_tags) {
		parsed = len == 0 ? 0 : parse(object, data, len);
		count = len == 0 || parsed != 0 ? 0 : 1;
	}
	while (is_of_tags && parsed >= 0) {
		char *end;
		long tag = strtol(tags, &end, 10);

		if (end == tags) {
			break;
		}
		tags = end;
		parsed = parse_tag((sec_tag_t)tag, type, parse, object);
		count += MAX(parsed, 0);
	}
	if (parsed < 0) {
		LOG_ERR("TLS: the %s is not valid: Mbed TLS error -0x%04x", what, (unsigned int)-parsed);
		return parsed;
	}
	return count;
}

/* Returns whether parsing failed or found nothing, and logs it. */
static bool lacks(const char *what, int count, bool is_of_tags)
{
	if (count == 0) {
		LOG_ERR("TLS needs a %s: %s", what,
			is_of_tags ? "tls_credential_add() for CONFIG_WSS_TLS_SEC_TAGS=\"" CONFIG_WSS_TLS_SEC_TAGS "\""
				   : "there is none in struct wss_tls");
	}
	return count <= 0;
}

static void forget(struct server *server)
{
	if (server->is_used) {
		mbedtls_ssl_config_free(&server->config);
		mbedtls_x509_crt_free(&server->cert);
		mbedtls_x509_crt_free(&server->ca);
		mbedtls_pk_free(&server->key);
		server->is_used = false;
	}
}

static int configure(struct server *server, const struct wss_tls_credentials *of)
{
	/* Clients may also connect without ALPN. */
	static const char *protocols[] = {"http/1.1", NULL};
	static const int modes[] = {
		[WSS_CLIENT_AUTH_NONE] = MBEDTLS_SSL_VERIFY_NONE,
		[WSS_CLIENT_AUTH_OPTIONAL] = MBEDTLS_SSL_VERIFY_OPTIONAL,
		[WSS_CLIENT_AUTH_REQUIRED] = MBEDTLS_SSL_VERIFY_REQUIRED,
	};
	mbedtls_ssl_config *config = &server->config;
	bool is_of_tags = of->cert == NULL && of->key == NULL && of->ca == NULL;
	uint32_t client_auth = of->client_auth;
	int authorities;
	int error;

	if (is_of_tags && client_auth == WSS_CLIENT_AUTH_NONE) {
		client_auth = of_tags.client_auth;
	}
	if (lacks("certificate",
		  parse_all("certificate", of->cert, of->cert_len, is_of_tags,
			    TLS_CREDENTIAL_PUBLIC_CERTIFICATE, parse_cert, &server->cert),
		  is_of_tags) ||
	    lacks("private key",
		  parse_all("private key", of->key, of->key_len, is_of_tags,
			    TLS_CREDENTIAL_PRIVATE_KEY, parse_key, &server->key),
		  is_of_tags)) {
		return WSS_ERRNO(EINVAL);
	}
	authorities = parse_all("certificate for clients", of->ca, of->ca_len, is_of_tags,
				TLS_CREDENTIAL_CA_CERTIFICATE, parse_cert, &server->ca);
	if (authorities < 0 || (client_auth != WSS_CLIENT_AUTH_NONE &&
				lacks("certificate for clients", authorities, is_of_tags))) {
		return WSS_ERRNO(EINVAL);
	}
	if (mbedtls_pk_check_pair(&server->cert.pk, &server->key, mbedtls_psa_get_random,
				  MBEDTLS_PSA_RANDOM_STATE) != 0) {
		LOG_ERR("TLS: the private key does not match the certificate");
		return WSS_ERRNO(EINVAL);
	}
	error = mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_SERVER,
					    MBEDTLS_SSL_TRANSPORT_STREAM,
					    MBEDTLS_SSL_PRESET_DEFAULT);
	if (error == 0) {
		error = mbedtls_ssl_conf_own_cert(config, &server->cert, &server->key);
	}
	if (error == 0) {
		error = mbedtls_ssl_conf_alpn_protocols(config, protocols);
	}
	if (error != 0) {
		LOG_ERR("TLS cannot be configured: Mbed TLS error -0x%04x", (unsigned int)-error);
		return WSS_ERRNO(ENOMEM);
	}
	mbedtls_ssl_conf_rng(config, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
	mbedtls_ssl_conf_authmode(config, modes[MIN(client_auth, ARRAY_SIZE(modes) - 1)]);
#if defined(CONFIG_MBEDTLS_DEBUG)
	mbedtls_ssl_conf_dbg(config, zephyr_mbedtls_debug, NULL);
#endif
	if (authorities > 0) {
		mbedtls_ssl_conf_ca_chain(config, &server->ca, NULL);
	}
	return 0;
}

/* The socket callbacks of a session for Mbed TLS. */

static int receive(void *context, unsigned char *data, size_t len)
{
	struct session *session = context;
	int32_t count = sockets->receive((uint32_t)(session - sessions), data, len);

	session->is_over = count == 0;
	if (count == WSS_AGAIN || count == WSS_NO_BUFFERS) {
		return MBEDTLS_ERR_SSL_WANT_READ;
	}
	return count < 0 ? MBEDTLS_ERR_NET_RECV_FAILED : count;
}

static int send(void *context, const unsigned char *data, size_t len)
{
	int32_t count = sockets->send((uint32_t)((struct session *)context - sessions), data, len);

	if (count == WSS_AGAIN || count == WSS_NO_BUFFERS) {
		return MBEDTLS_ERR_SSL_WANT_WRITE;
	}
	return count < 0 ? MBEDTLS_ERR_NET_SEND_FAILED : count;
}

/* Sets up a session, once: its buffers stay where they are. */
static int set_up(struct server *server, struct session *session)
{
	int error = 0;

	if (!session->is_used) {
		mbedtls_ssl_init(&session->ssl);
		error = mbedtls_ssl_setup(&session->ssl, &server->config);
		if (error != 0) {
			mbedtls_ssl_free(&session->ssl);
			LOG_ERR("TLS: %d bytes are too few for %d clients: Mbed TLS error -0x%04x",
				(int)HEAP_SIZE, SESSIONS, (unsigned int)-error);
			return WSS_ERRNO(ENOMEM);
		}
		mbedtls_ssl_set_bio(&session->ssl, session, send, receive, NULL);
		session->alert = -1;
		session->is_used = true;
	}
	return 0;
}

struct start {
	size_t server;
	const struct wss_tls_credentials *credentials;
	int error;
};

static void start(void *context)
{
	struct start *start = context;
	size_t number = start->server;
	struct server *server = &servers[number];
	int error;

	forget(server);
	mbedtls_ssl_config_init(&server->config);
	mbedtls_x509_crt_init(&server->cert);
	mbedtls_x509_crt_init(&server->ca);
	mbedtls_pk_init(&server->key);
	server->is_used = true;
	error = configure(server, start->credentials);
	for (size_t i = 0; i < CONFIG_WSS_MAX_CLIENTS && error == 0; i++) {
		error = set_up(server, &sessions[number * CONFIG_WSS_MAX_CLIENTS + i]);
	}
	if (error != 0) {
		forget(server);
	}
	start->error = error;
	log_heap("at the start");
}

int32_t wss_tls_start(size_t number, const struct wss_tls_credentials *credentials,
		      const struct wss_tls_socket *socket)
{
	struct start context = {.server = number, .credentials = credentials};

	sockets = socket;
	wss_port_run_tls(start, &context);
	return context.error;
}

void wss_tls_reset(uint32_t number)
{
	struct session *session = &sessions[number];

	session->alert = -1;
	session->is_over = false;
	/* Where there is not enough memory, the handshake tries again. */
	session->error = mbedtls_ssl_session_reset(&session->ssl);
	log_heap("without the client");
}

/* Converts an error of Mbed TLS. The peer gets an alert, unless it sent one itself. */
static int32_t failed(struct session *session, int error)
{
	mbedtls_ssl_context *ssl = &session->ssl;
	uint8_t alert = MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR;

	switch (error) {
	case MBEDTLS_ERR_SSL_WANT_READ:
	case MBEDTLS_ERR_SSL_WANT_WRITE:
		return WSS_AGAIN;
	case MBEDTLS_ERR_SSL_CONN_EOF:
		session->error = error;
		return WSS_TLS_TRUNCATED;
	case MBEDTLS_ERR_NET_RECV_FAILED:
	case MBEDTLS_ERR_NET_SEND_FAILED:
		session->error = error;
		return WSS_ERRNO(EIO);
	case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
		session->alert = ssl->MBEDTLS_PRIVATE(in_msg)[1];
		session->error = error;
		return WSS_TLS_FAILED;
	/* By its header, the record is larger than the buffer. */
	case MBEDTLS_ERR_SSL_BAD_INPUT_DATA:
	case MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL:
		alert = MBEDTLS_SSL_ALERT_MSG_RECORD_OVERFLOW;
		break;
	case MBEDTLS_ERR_SSL_INVALID_RECORD:
		alert = MBEDTLS_SSL_ALERT_MSG_RECORD_OVERFLOW;
		break;
	case MBEDTLS_ERR_SSL_INVALID_MAC:
		alert = MBEDTLS_SSL_ALERT_MSG_BAD_RECORD_MAC;
		break;
	case MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE:
		alert = MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE;
		break;
	case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
		alert = MBEDTLS_SSL_ALERT_MSG_BAD_CERT;
		break;
	default:
		break;
	}
	session->error = error;
	/* After an alert that Mbed TLS has sent itself, send nothing. */
	if (ssl->MBEDTLS_PRIVATE(out_msgtype) != MBEDTLS_SSL_MSG_ALERT) {
		wss_tls_alert((uint32_t)(session - sessions), alert);
	}
	return WSS_TLS_FAILED;
}

int32_t wss_tls_handshake(uint32_t number)
{
	struct session *session = &sessions[number];
	/* A client without a certificate, if none is required. */
	uint32_t missing = MBEDTLS_X509_BADCERT_MISSING | MBEDTLS_X509_BADCERT_SKIP_VERIFY;
	int error = 0;

	if (session->error != 0) {
		session->error = mbedtls_ssl_session_reset(&session->ssl);
		error = session->error;
	}
	if (error == 0) {
		error = mbedtls_ssl_handshake(&session->ssl);
	}
	if (error != 0) {
		return failed(session, error);
	}
	/* If none is required, Mbed TLS also accepts certificates that are not valid. */
	if ((mbedtls_ssl_get_verify_result(&session->ssl) & ~missing) != 0) {
		return failed(session, MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
	}
	log_heap("after a handshake");
	return 0;
}

int32_t wss_tls_progress(uint32_t session)
{
	return sessions[session].ssl.MBEDTLS_PRIVATE(state);
}

int32_t wss_tls_receive(uint32_t number, uint8_t *data, size_t len)
{
	struct session *session = &sessions[number];
	int count = mbedtls_ssl_read(&session->ssl, data, len);

	if (count == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
		return 0;
	}
	if (count == 0) {
		/* The end of the stream, or records without content. */
		count = session->is_over ? MBEDTLS_ERR_SSL_CONN_EOF : MBEDTLS_ERR_SSL_WANT_READ;
	}
	return count < 0 ? failed(session, count) : count;
}

bool wss_tls_has_buffered(uint32_t session)
{
	return mbedtls_ssl_check_pending(&sessions[session].ssl) != 0;
}

int32_t wss_tls_send(uint32_t number, const struct wss_port_part *parts, size_t count, size_t skip)
{
	struct session *session = &sessions[number];
	int most = mbedtls_ssl_get_max_out_record_payload(&session->ssl);
	/*
	 * Collect the parts where Mbed TLS will copy them, which it allows. That saves a buffer, and puts a header and
	 * its payload into one record.
	 */
	uint8_t *record = session->ssl.MBEDTLS_PRIVATE(out_msg);
	size_t len = 0;
	int error;

	if (most < 0) {
		return failed(session, most);
	}
	for (size_t i = 0; i < count && len < (size_t)most; i++) {
		size_t skipped = MIN(parts[i].len, skip);
		size_t taken = MIN(parts[i].len - skipped, (size_t)most - len);

		skip -= skipped;
		memcpy(&record[len], &parts[i].data[skipped], taken);
		len += taken;
	}
	error = mbedtls_ssl_write(&session->ssl, record, len);
	if (error < 0 && error != MBEDTLS_ERR_SSL_WANT_WRITE) {
		return failed(session, error);
	}
	return (int32_t)len;
}

bool wss_tls_has_unsent(uint32_t session)
{
	return sessions[session].ssl.MBEDTLS_PRIVATE(out_left) != 0;
}

int32_t wss_tls_flush(uint32_t number)
{
	struct session *session = &sessions[number];
	int error = 0;

	if (wss_tls_has_unsent(number)) {
		/* While there are unsent bytes, this sends them instead of an alert, in any state. */
		error = mbedtls_ssl_send_alert_message(&session->ssl, MBEDTLS_SSL_ALERT_LEVEL_WARNING,
						       MBEDTLS_SSL_ALERT_MSG_CLOSE_NOTIFY);
	}
	return error == 0 ? 0 : failed(session, error);
}

void wss_tls_close_notify(uint32_t session)
{
	(void)mbedtls_ssl_close_notify(&sessions[session].ssl);
}

void wss_tls_alert(uint32_t session, uint8_t alert)
{
	(void)mbedtls_ssl_send_alert_message(&sessions[session].ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, alert);
}

void wss_tls_reason(uint32_t session, int32_t *error, int32_t *alert)
{
	*error = sessions[session].error;
	*alert = sessions[session].alert;
}
