// SPDX-License-Identifier: GPL-2.0-only
/* bench/ticks: how many counts of the TSC a command takes */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

/*
 * ticks FILE COMMAND [ARGUMENT...]: the number of ticks goes to FILE, the
 * command's status becomes this program's.
 */
int main(int argc, char **argv)
{
	int status;
	FILE *out;
	pid_t pid;
	u64 t;

	if (argc < 3) {
		fprintf(stderr, "usage: %s FILE COMMAND [ARGUMENT...]\n",
			argv[0]);
		return 125;
	}
	t = rdtsc();
	pid = fork();
	if (!pid) {
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("ticks");
		return 125;
	}
	t = rdtsc() - t;
	out = fopen(argv[1], "w");
	if (!out || fprintf(out, "%llu\n", (unsigned long long)t) < 0 ||
	    fclose(out)) {
		perror(argv[1]);
		return 125;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}
