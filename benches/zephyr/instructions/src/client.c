/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the instructions per message of a plain TCP server and of a WebSocket server in the same image. In
 * each cell, a client connects over loopback, sends as many messages as the cell has in flight, waits for
 * everything that the server does with them, and repeats. The client has the lowest priority, so the
 * servers have finished by then.
 *
 * Where the WebSocket server has TLS, so has the client, in each version, and only what the server does between the
 * bytes that the client sends and those that it receives counts; so for the handshakes.
 *
 * In QEMU with `-icount shift=0`, an instruction takes a nanosecond. The clock is a timer of the board,
 * because the kernel's own loses up to a cycle (40 instructions) whenever a timeout is set.
 */
#include <errno.h>
#include <string.h>

#include <zephyr/drivers/counter.h>
#include <zephyr/kernel.h>
#include <zephyr/net/socket.h>
#include <zephyr/sys/printk.h>

#include "bench.h"
#include "tcp_echo.h"

#if defined(CONFIG_WSS_TLS)
#include <mbedtls/ssl.h>

#include "tls_client.h"
#endif

/* Of TLS, where its handshake is done on this thread. */
#define STACK_SIZE 8192
/* Below the handshakes of a server with TLS, too. */
#define PRIORITY   11

#define CLIENTS      2
#define LARGEST      1400
#define DEEPEST      16
#define MASK_SIZE    4
#define HEADER_SIZE  4
#define WARM_UP      20
#define ROUNDS       200
/* For a profile, where QEMU prints a line for each instruction. */
#define WARM_UP_FEW  3
#define ROUNDS_FEW   10
#define HANDSHAKES  10
/* Until the servers have accepted, or closed, a connection. */
#define SETTLE       K_MSEC(500)

static const struct cell {
	const char *name;
	enum bench_case what;
	uint16_t size;
	uint16_t depth;
} cells[] = {
#define CELL(what, size, depth) {#what, what, size, depth},
#include "cells.h"
};

enum bench_case bench_case;
size_t bench_size;
uint8_t bench_reply[DEEPEST][BENCH_REPLY_SIZE];

/* The number of the only cell to run, from 1, for a profile; 0: all cells. QEMU writes it before boot. */
__noinit volatile uint32_t bench_selected;

static K_SEM_DEFINE(all_received, 0, 1);
static size_t to_receive;

static uint8_t request[DEEPEST * (LARGEST + HEADER_SIZE + MASK_SIZE)];
static uint8_t received[2048];

static const struct device *const timer = DEVICE_DT_GET(DT_NODELABEL(timer0));
static uint32_t times_idle;

void __real_arch_cpu_idle(void);

/* Time passes while the processor idles, and would count as instructions. */
void __wrap_arch_cpu_idle(void)
{
	times_idle++;
	__real_arch_cpu_idle();
}

/* Where a profile begins and ends, and where the image is done. */
__noinline void mark_begin(void)
{
	__asm__ volatile("nop");
}

__noinline void mark_end(void)
{
	__asm__ volatile("nop");
}

__noinline void mark_done(void)
{
	__asm__ volatile("nop");
}

void bench_received(size_t len)
{
	to_receive -= len;
	if (to_receive == 0) {
		k_sem_give(&all_received);
	}
}

/* What was counted between begin_count() and end_count(). */
struct count {
	uint32_t cycles;
	uint32_t idle;
};

/* The timer runs at the clock of the processor. */
static uint32_t cycles_now(void)
{
	uint32_t cycles = 0;

	(void)counter_get_value(timer, &cycles);
	return cycles;
}

static void begin_count(struct count *count)
{
	count->idle -= times_idle;
	count->cycles -= cycles_now();
}

static void end_count(struct count *count)
{
	count->cycles += cycles_now();
	count->idle += times_idle;
}

static void print_count(const char *name, size_t size, size_t depth, const char *of, const struct count *count,
			uint32_t times)
{
	uint64_t instructions =
		(uint64_t)count->cycles * (NSEC_PER_SEC / sys_clock_hw_cycles_per_sec());

	printk("RESULT %s %u %u %s %u %u\n", name, (uint32_t)size, (uint32_t)depth, of,
	       (uint32_t)(instructions / times), count->idle);
}

static bool send_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t sent = zsock_send(fd, data, len, 0);

		if (sent <= 0) {
			printk("FAILED: send: %d\n", errno);
			return false;
		}
		data += sent;
		len -= sent;
	}
	return true;
}

static bool receive_all(int fd, size_t len)
{
	while (len > 0) {
		ssize_t got = zsock_recv(fd, received, MIN(len, sizeof(received)), 0);

		if (got <= 0) {
			printk("FAILED: recv: %d\n", got == 0 ? 0 : errno);
			return false;
		}
		len -= got;
	}
	return true;
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = INADDR_LOOPBACK_INIT,
	};
	int fd = zsock_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

	(void)zsock_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if (zsock_connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		printk("FAILED: connect to %u: %d\n", port, errno);
		(void)zsock_close(fd);
		return -1;
	}
	return fd;
}

static const char upgrade_request[] = "GET / HTTP/1.1\r\n"
				      "Host: localhost\r\n"
				      "Upgrade: websocket\r\n"
				      "Connection: Upgrade\r\n"
				      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
				      "Sec-WebSocket-Version: 13\r\n\r\n";
static const char accepted[] = "HTTP/1.1 101";

static bool upgrade(int fd)
{
	static const char end[] = "\r\n\r\n";
	char answer[512];
	size_t len = 0;

	if (!send_all(fd, upgrade_request, sizeof(upgrade_request) - 1)) {
		return false;
	}
	do {
		if (len == sizeof(answer) || zsock_recv(fd, &answer[len], 1, 0) != 1) {
			printk("FAILED: no answer to the upgrade\n");
			return false;
		}
		len++;
	} while (len < strlen(end) || memcmp(&answer[len - strlen(end)], end, strlen(end)) != 0);
	return memcmp(answer, accepted, strlen(accepted)) == 0;
}

static size_t header_size(size_t size)
{
	return size < 126 ? 2 : 4;
}

/* Writes a masked frame, or for plain TCP its payload alone. Returns the size. */
static size_t put_message(uint8_t *to, size_t size, bool websocket)
{
	static const uint8_t mask[MASK_SIZE] = {0x12, 0x34, 0x56, 0x78};
	size_t at = 0;

	if (websocket) {
		to[at++] = 0x82;
		if (size < 126) {
			to[at++] = 0x80 | size;
		} else {
			to[at++] = 0x80 | 126;
			to[at++] = size >> 8;
			to[at++] = size & 0xff;
		}
		memcpy(&to[at], mask, MASK_SIZE);
		at += MASK_SIZE;
	}
	for (size_t i = 0; i < size; i++) {
		to[at++] = 'x' ^ (websocket ? mask[i % MASK_SIZE] : 0);
	}
	return at;
}

/* Writes the messages that are in flight. Returns their size. */
static size_t put_messages(const struct cell *cell, bool websocket)
{
	size_t len = 0;

	for (int i = 0; i < cell->depth; i++) {
		len += put_message(&request[len], cell->size, websocket);
	}
	return len;
}

static bool run_rounds(const struct cell *cell, const int fds[], int count, size_t request_size,
		       size_t answer_size, int times)
{
	for (int i = 0; i < times; i++) {
		to_receive = cell->size * cell->depth;
		if (!send_all(fds[0], request, request_size)) {
			return false;
		}
		if (cell->what == RECEIVE) {
			(void)k_sem_take(&all_received, K_FOREVER);
			continue;
		}
		for (int client = 0; client < count; client++) {
			if (!receive_all(fds[client], answer_size)) {
				return false;
			}
		}
	}
	return true;
}

static void measure_clients(const struct cell *cell, const int fds[], int count, bool websocket)
{
	int warm_up = bench_selected != 0 ? WARM_UP_FEW : WARM_UP;
	int times = bench_selected != 0 ? ROUNDS_FEW : ROUNDS;
	size_t request_size;
	size_t answer_size = cell->what == REPLY ? BENCH_REPLY_SIZE : cell->size;
	struct count counted = {0};

	request_size = put_messages(cell, websocket);
	if (websocket) {
		answer_size += header_size(answer_size);
	}
	answer_size *= cell->depth;

	if (!run_rounds(cell, fds, count, request_size, answer_size, warm_up)) {
		return;
	}
	begin_count(&counted);
	mark_begin();
	if (!run_rounds(cell, fds, count, request_size, answer_size, times)) {
		return;
	}
	mark_end();
	end_count(&counted);
	print_count(cell->name, cell->size, cell->depth, websocket ? "ws" : "tcp", &counted, times * cell->depth);
}

static void measure(const struct cell *cell, bool websocket)
{
	int count = cell->what == BROADCAST ? CLIENTS : 1;
	int fds[CLIENTS];
	int connected = 0;

	bench_case = cell->what;
	bench_size = cell->size;
	while (connected < count) {
		int fd = connect_to(websocket ? WEBSOCKET_PORT : TCP_ECHO_PORT);

		if (fd < 0) {
			break;
		}
		fds[connected++] = fd;
		if (websocket && !upgrade(fd)) {
			break;
		}
		k_sleep(SETTLE);
	}
	if (connected == count) {
		measure_clients(cell, fds, count, websocket);
	}
	while (connected > 0) {
		(void)zsock_close(fds[--connected]);
	}
	k_sleep(SETTLE);
}

#if defined(CONFIG_WSS_TLS)
static const struct version {
	const char *name;
	int number;
} versions[] = {
	{"tls12", MBEDTLS_SSL_VERSION_TLS1_2},
	{"tls13", MBEDTLS_SSL_VERSION_TLS1_3},
};

/* Receives TLS: `len` bytes, or, if that is 0, those that are there. */
static bool receive_tls(int fd, size_t len)
{
	struct tls_bytes *to = &tls_incoming;
	size_t end = len == 0 ? sizeof(to->data) : to->len + len;

	while (to->len < end) {
		ssize_t got = zsock_recv(fd, &to->data[to->len], end - to->len,
					 len == 0 ? ZSOCK_MSG_DONTWAIT : 0);

		if (got < 0 && len == 0 && errno == EAGAIN) {
			break;
		}
		if (got <= 0) {
			printk("FAILED: recv: %d\n", got == 0 ? 0 : errno);
			return false;
		}
		to->len += got;
	}
	return true;
}

/* Sends what was encrypted, has the server do all that follows from it, and receives its answer. */
static bool exchange_tls(int fd, size_t answer_size, struct count *counted)
{
	bool done;

	begin_count(counted);
	done = send_all(fd, tls_outgoing.data, tls_outgoing.len);
	/* TCP over loopback is done on a work queue, to which a send does not switch. */
	k_yield();
	done = done && receive_tls(fd, answer_size);
	end_count(counted);
	tls_outgoing.len = 0;
	return done;
}

static bool secure(int fd, const struct version *version, struct count *counted)
{
	int over;

	if (!tls_begin(version->number)) {
		return false;
	}
	do {
		over = tls_handshake();
		if (over < 0 || (tls_outgoing.len > 0 && !exchange_tls(fd, 0, counted))) {
			return false;
		}
		if (over == 0 && tls_incoming.len == 0) {
			printk("FAILED: the server does not continue the handshake\n");
			return false;
		}
	} while (over == 0);
	return true;
}

/* Decrypts all that was received. Returns its size, or -1. */
static int decrypt_all(void)
{
	size_t len = 0;
	int got;

	do {
		/* The first bytes are looked at. */
		size_t at = len < sizeof(received) / 2 ? len : sizeof(received) / 2;

		got = tls_decrypt(&received[at], sizeof(received) - at);
		len += MAX(got, 0);
	} while (got > 0);
	return got < 0 ? -1 : (int)len;
}

static bool upgrade_tls(int fd)
{
	struct count not_counted;

	return tls_encrypt((const uint8_t *)upgrade_request, sizeof(upgrade_request) - 1) &&
	       exchange_tls(fd, 0, &not_counted) && decrypt_all() > 0 &&
	       memcmp(received, accepted, strlen(accepted)) == 0;
}

/* One round: the size of the server's answer, or 0 if it is not known yet. Returns that size, or 0. */
static size_t run_tls_round(int fd, const struct cell *cell, size_t request_size, size_t answer_size,
			    struct count *counted)
{
	size_t plain = (header_size(cell->size) + cell->size) * cell->depth;

	if (!tls_encrypt(request, request_size) || !exchange_tls(fd, answer_size, counted)) {
		return 0;
	}
	answer_size = tls_incoming.len;
	if (decrypt_all() != (int)plain) {
		printk("FAILED: the answer is not the messages\n");
		return 0;
	}
	return answer_size;
}

static void measure_tls(const struct cell *cell, const struct version *version)
{
	struct count counted = {0};
	size_t request_size = put_messages(cell, true);
	size_t answer_size = 0;
	int fd = connect_to(WEBSOCKET_PORT);
	bool goes_on = fd >= 0 && secure(fd, version, &counted) && upgrade_tls(fd);

	for (int i = 0; i < WARM_UP && goes_on; i++) {
		answer_size = run_tls_round(fd, cell, request_size, 0, &counted);
		goes_on = answer_size > 0;
	}
	counted = (struct count){0};
	for (int i = 0; i < ROUNDS && goes_on; i++) {
		goes_on = run_tls_round(fd, cell, request_size, answer_size, &counted) > 0;
	}
	if (goes_on) {
		print_count(cell->name, cell->size, cell->depth, version->name, &counted, ROUNDS * cell->depth);
	}
	tls_end();
	(void)zsock_close(fd);
	k_sleep(SETTLE);
}

/* Between the first byte of the client and the last one of either side. */
static void measure_handshakes(const struct version *version)
{
	struct count counted = {0};
	bool goes_on = true;

	for (int i = 0; i < HANDSHAKES && goes_on; i++) {
		int fd = connect_to(WEBSOCKET_PORT);

		k_sleep(SETTLE);
		goes_on = fd >= 0 && secure(fd, version, &counted);
		tls_end();
		(void)zsock_close(fd);
		k_sleep(SETTLE);
	}
	if (goes_on) {
		print_count("HANDSHAKE", 0, 1, version->name, &counted, HANDSHAKES);
	}
}

/* Messages are echoed; all else costs over TLS what it costs without. */
static void measure_all_tls(void)
{
	for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
		for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
			if (cells[i].what == ECHO) {
				bench_case = ECHO;
				bench_size = cells[i].size;
				measure_tls(&cells[i], &versions[v]);
			}
		}
		measure_handshakes(&versions[v]);
	}
}
#endif

static void run(void *p1, void *p2, void *p3)
{
	ARG_UNUSED(p1);
	ARG_UNUSED(p2);
	ARG_UNUSED(p3);
	(void)counter_start(timer);
	/* Until the servers listen. */
	k_sleep(SETTLE);
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
		if ((bench_selected == 0 || bench_selected == i + 1) && server_has(cells[i].what)) {
			measure(&cells[i], false);
#if !defined(CONFIG_WSS_TLS)
			measure(&cells[i], true);
#endif
		}
	}
#if defined(CONFIG_WSS_TLS)
	measure_all_tls();
#endif
	printk("DONE\n");
	mark_done();
}

K_THREAD_DEFINE(client, STACK_SIZE, run, NULL, NULL, NULL, PRIORITY, 0, 0);
