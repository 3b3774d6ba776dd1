/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the instructions per message of a plain TCP server and of a WebSocket server in the same image. In
 * each cell, a client connects over loopback, sends as many messages as the cell has in flight, waits for
 * everything that the server does with them, and repeats. The client has the lowest priority, so the
 * servers have finished by then.
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

#define STACK_SIZE 4096
#define PRIORITY   10

#define CLIENTS      2
#define LARGEST      1024
#define DEEPEST      16
#define MASK_SIZE    4
#define HEADER_SIZE  4
#define WARM_UP      20
#define ROUNDS       200
/* For a profile, where QEMU prints a line for each instruction. */
#define WARM_UP_FEW  3
#define ROUNDS_FEW   10
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

static bool upgrade(int fd)
{
	static const char upgrade_request[] = "GET / HTTP/1.1\r\n"
					      "Host: localhost\r\n"
					      "Upgrade: websocket\r\n"
					      "Connection: Upgrade\r\n"
					      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
					      "Sec-WebSocket-Version: 13\r\n\r\n";
	static const char accepted[] = "HTTP/1.1 101";
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

/* The timer runs at the clock of the processor. */
static uint32_t cycles_now(void)
{
	uint32_t cycles = 0;

	(void)counter_get_value(timer, &cycles);
	return cycles;
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
	size_t request_size = 0;
	size_t answer_size = cell->what == REPLY ? BENCH_REPLY_SIZE : cell->size;
	uint32_t idle, cycles;
	uint64_t instructions;

	for (int i = 0; i < cell->depth; i++) {
		request_size += put_message(&request[request_size], cell->size, websocket);
	}
	if (websocket) {
		answer_size += header_size(answer_size);
	}
	answer_size *= cell->depth;

	if (!run_rounds(cell, fds, count, request_size, answer_size, warm_up)) {
		return;
	}
	idle = times_idle;
	cycles = cycles_now();
	mark_begin();
	if (!run_rounds(cell, fds, count, request_size, answer_size, times)) {
		return;
	}
	mark_end();
	cycles = cycles_now() - cycles;
	idle = times_idle - idle;
	instructions = (uint64_t)cycles * (NSEC_PER_SEC / sys_clock_hw_cycles_per_sec());
	printk("RESULT %s %u %u %s %u %u\n", cell->name, cell->size, cell->depth, websocket ? "ws" : "tcp",
	       (uint32_t)(instructions / times / cell->depth), idle);
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
			measure(&cells[i], true);
		}
	}
	printk("DONE\n");
	mark_done();
}

K_THREAD_DEFINE(client, STACK_SIZE, run, NULL, NULL, NULL, PRIORITY, 0, 0);
