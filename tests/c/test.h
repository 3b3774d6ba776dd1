/* SPDX-License-Identifier: Apache-2.0 */
/* Checks, and a table of cases. A check that fails ends the program. */
#ifndef TEST_H
#define TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seconds that anything may take: a lot, since valgrind is slow. */
#define PATIENCE 60

#define CHECK(condition)                                                                           \
	((condition) ? (void)0 : test_fail(__FILE__, __LINE__, #condition))
#define CHECK_INT(actual, expected)                                                                \
	test_int(__FILE__, __LINE__, #actual, (long long)(actual), (long long)(expected))
#define CHECK_BYTES(actual, actual_len, expected, expected_len)                                    \
	test_bytes(__FILE__, __LINE__, #actual, actual, actual_len, expected, expected_len)

void test_fail(const char *file, int line, const char *what);
void test_int(const char *file, int line, const char *what, long long actual, long long expected);
void test_bytes(const char *file, int line, const char *what, const void *actual, size_t actual_len,
		const void *expected, size_t expected_len);

struct test_case {
	const char *name;
	void (*run)(void);
};

/* Runs the cases whose names contain one of the arguments, or all. */
int test_main(int argc, char **argv, const struct test_case *cases, size_t count);

/* Milliseconds of a clock that never goes back. */
int64_t now_ms(void);
void sleep_ms(int ms);

#endif
