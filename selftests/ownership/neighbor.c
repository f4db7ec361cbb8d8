// SPDX-License-Identifier: GPL-2.0-only
/* ownership/neighbor: a guest on another device, beside the tests, until SIGTERM */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sum.h"

static volatile sig_atomic_t over;

static void on_term(int sig)
{
	(void)sig;
	over = 1;
}

/*
 * neighbor DEVICE READY-FILE [PAUSE]: a wrong result is a failure. PAUSE is in
 * microseconds, between two runs of the guest.
 */
int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_term };
	unsigned long n = 0, pause;
	struct vcpu *vcpu;
	int fd;

	if (argc != 3 && argc != 4) {
		fprintf(stderr, "usage: %s DEVICE READY-FILE [PAUSE]\n", argv[0]);
		return KSFT_FAIL;
	}
	ksft_device = argv[1];
	/* Where a run takes a slow host fifty milliseconds, the tests need most of its CPUs. */
	if (argc == 4)
		pause = strtoul(argv[3], NULL, 0);
	else
		pause = ksft_slowness() > 1 ? 200000 : 3000;
	sigaction(SIGTERM, &sa, NULL);
	vcpu = vcpu_add(vm_create(), 0);
	sum_run(vcpu, n++);
	fd = open(argv[2], O_CREAT | O_WRONLY, 0600);
	if (fd >= 0)
		close(fd);
	while (!over) {
		sum_run(vcpu, n++);
		if (pause)
			usleep(pause);
	}
	printf("TAP version 13\n1..1\n# %lu runs on %s\n", n, argv[1]);
	printf("ok 1 neighbor: every run right\n");
	return KSFT_PASS;
}
