// SPDX-License-Identifier: GPL-2.0-only
/* Test programs that print TAP, kselftest form */

#include "tap.h"

int tap_failures;

int tap_run(const struct tap_test *tests, int n)
{
	int failed = 0;
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n1..%d\n", n);
	for (i = 0; i < n; i++) {
		tap_failures = 0;
		tests[i].fn();
		if (tap_failures)
			printf("# %d check(s) failed\n", tap_failures);
		printf("%sok %d %s\n", tap_failures ? "not " : "", i + 1,
		       tests[i].name);
		failed += !!tap_failures;
	}
	printf("# Totals: pass:%d fail:%d xfail:0 xpass:0 skip:0 error:0\n",
	       n - failed, failed);
	return failed ? 1 : 0;
}
