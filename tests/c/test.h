/* SPDX-License-Identifier: Apache-2.0 */
/* Checks, and a table of cases. A check that fails ends the program. */
#ifndef TEST_H
#define TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The maximum time of anything, in seconds: long, because valgrind is slow. */
#define PATIENCE 60

/* The port of the service: any free one, unless the build sets one. */
#ifndef TEST_PORT
#define TEST_PORT 0
#endif

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

/*
 * Makes a program of a list of cases: SUITE is its name, CASES(CASE) names each case by CASE(name). On
 * Zephyr it is a suite of ztest instead.
 */
#if defined(__ZEPHYR__)
#include <zephyr/ztest.h>

#define TEST_CASE_OF(suite, name)                                                                  \
	ZTEST(suite, test_##name)                                                                  \
	{                                                                                          \
		test_case(#name, name);                                                            \
	}
#define TEST_CASE_IN(suite, name) TEST_CASE_OF(suite, name)
#define TEST_CASE(name)           TEST_CASE_IN(SUITE, name)
#define TEST_PROGRAM(CASES)                                                                        \
	CASES(TEST_CASE)                                                                           \
	ZTEST_SUITE(SUITE, NULL, NULL, NULL, NULL, NULL);

/* Runs a case, unless it is excluded on Zephyr. */
void test_case(const char *name, void (*run)(void));
#else
struct test_case {
	const char *name;
	void (*run)(void);
};

#define TEST_CASE(name) {#name, name},
#define TEST_PROGRAM(CASES)                                                                        \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		static const struct test_case cases[] = {CASES(TEST_CASE)};                        \
                                                                                                   \
		return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));             \
	}

/* Runs the cases whose names contain one of the arguments; without arguments all. */
int test_main(int argc, char **argv, const struct test_case *cases, size_t count);
#endif

/* Returns the milliseconds of a monotonic clock. */
int64_t now_ms(void);
void sleep_ms(int ms);

/* Return the number of open descriptors, and of threads. */
int open_descriptors(void);
int running_threads(void);
/* Uses up all descriptors, and frees them again. */
void use_up_descriptors(void);
void give_descriptors_back(void);

#endif
