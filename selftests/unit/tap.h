/* SPDX-License-Identifier: GPL-2.0-only */
/* Test programs that print TAP, kselftest form */
#ifndef _EMYS_UNIT_TAP_H
#define _EMYS_UNIT_TAP_H

#include <stdio.h>

struct tap_test {
	const char *name;
	void (*fn)(void);
};

extern int tap_failures;	/* of the test that runs */

/* Check @cond; when it fails, say where, what, and the printf arguments */
#define expect(cond, ...) do {						\
	if (!(cond)) {							\
		if (tap_failures++ < 20) {				\
			printf("# %s:%d: %s: ", __FILE__, __LINE__, #cond);\
			printf(__VA_ARGS__);				\
			printf("\n");					\
		}							\
	}								\
} while (0)

/* Check that an integer expression has the wanted value */
#define expect_eq(got, want) do {					\
	long long __got = (got), __want = (want);			\
	expect(__got == __want, "%s is %lld (%#llx), not %lld (%#llx)",	\
	       #got, __got, __got, __want, __want);			\
} while (0)

/* Run all; the exit status of main(): 0 or 1 */
int tap_run(const struct tap_test *tests, int n);

#endif
