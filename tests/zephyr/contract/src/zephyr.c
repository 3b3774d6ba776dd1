/* SPDX-License-Identifier: Apache-2.0 */
/* The Zephyr part of the tests in tests/c: ztest instead of a program, and functions that need the kernel. */
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/sys/fdtable.h>
#include <zephyr/ztest.h>

#include <wss/sys_wss.h>

#include "test.h"

void test_fail(const char *file, int line, const char *what)
{
	TC_PRINT("%s:%d: failed: %s\n", file, line, what);
	/* Ends the test, and this thread. */
	ztest_test_fail();
}

void test_case(const char *name, void (*run)(void))
{
	const char *found = strstr(NOT_ON_ZEPHYR, name);

	/* There are spaces around each name. */
	if (found != NULL && found[-1] == ' ' && found[strlen(name)] == ' ') {
		ztest_test_skip();
	}
	run();
}

static int taken[CONFIG_ZVFS_OPEN_MAX];
static size_t taken_count;

void use_up_descriptors(void)
{
	int fd;

	while ((fd = zvfs_reserve_fd()) >= 0) {
		taken[taken_count++] = fd;
	}
	CHECK(taken_count > 0);
}

void give_descriptors_back(void)
{
	while (taken_count > 0) {
		zvfs_free_fd(taken[--taken_count]);
	}
}

int open_descriptors(void)
{
	int free_count;

	use_up_descriptors();
	free_count = (int)taken_count;
	give_descriptors_back();
	return CONFIG_ZVFS_OPEN_MAX - free_count;
}

static void count(const struct k_thread *thread, void *threads)
{
	ARG_UNUSED(thread);
	(*(int *)threads)++;
}

int running_threads(void)
{
	int threads = 0;

	k_thread_foreach(count, &threads);
	return threads;
}

/* There is none, because lines go to Zephyr's log. This is for the linker. */
void wss_set_log(enum wss_log_level level, wss_log_handler handler, void *given)
{
	ARG_UNUSED(level);
	ARG_UNUSED(handler);
	ARG_UNUSED(given);
}
