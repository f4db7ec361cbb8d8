// SPDX-License-Identifier: GPL-2.0-only
/* ksft: the TAP runner of a test program */
#include "ksft.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *ksft_device;

int ksft_is_emys(void)
{
	return strstr(ksft_device, "emys") != NULL;
}

static void vdiag(const char *file, int line, const char *fmt, va_list ap)
{
	char text[512];
	int n = 0;

	if (file)
		n = snprintf(text, sizeof(text), "%s:%d: ", file, line);
	vsnprintf(text + n, sizeof(text) - n, fmt, ap);
	printf("# %s\n", text);
	fflush(stdout);
}

void ksft_print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vdiag(NULL, 0, fmt, ap);
	va_end(ap);
}

void ksft_fail(const char *file, int line, const char *fmt, ...)
{
	const char *base = strrchr(file, '/');
	va_list ap;

	va_start(ap, fmt);
	vdiag(base ? base + 1 : file, line, fmt, ap);
	va_end(ap);
	_exit(KSFT_FAIL);
}

void ksft_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vdiag(NULL, 0, fmt, ap);
	va_end(ap);
	_exit(KSFT_SKIP);
}

/* SIGCHLD handling belongs to the cases */
static int wait_for(pid_t pid, unsigned int seconds)
{
	struct pollfd end = { .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	int status = -1, r = -1;

	if (end.fd < 0) {
		ksft_print("pidfd_open: %s", strerror(errno));
	} else {
		do {
			r = poll(&end, 1, seconds * 1000);
		} while (r < 0 && errno == EINTR);
		close(end.fd);
		if (!r)
			ksft_print("no end after %u s", seconds);
	}
	if (r <= 0) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
	}
	return waitpid(pid, &status, 0) == pid && r > 0 ? status : -1;
}

unsigned int ksft_slowness(void)
{
	const char *text = getenv("EMYS_SLOW");
	int n = text ? atoi(text) : 1;

	return n > 1 ? n : 1;
}

/* Of the host's time, and only where it is worth looking into. */
static void print_seconds(const struct ksft_case *c, const struct timespec *begun)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now.tv_sec -= begun->tv_sec;
	if (now.tv_sec >= 5)
		ksft_print("%s: %lld s", c->name, (long long)now.tv_sec);
}

static int run_case(const struct ksft_case *c)
{
	struct timespec begun;
	int status;
	pid_t pid;

	fflush(stdout);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	pid = fork();
	if (pid < 0) {
		ksft_print("fork: %s", strerror(errno));
		return KSFT_FAIL;
	}
	if (!pid) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		c->run();
		fflush(stdout);
		_exit(KSFT_PASS);
	}
	status = wait_for(pid, (c->timeout ? c->timeout : KSFT_TIMEOUT) *
			  ksft_slowness());
	/* whatever a case forked dies with it */
	kill(-pid, SIGKILL);
	print_seconds(c, &begun);
	if (status < 0)
		return KSFT_FAIL;
	if (WIFSIGNALED(status)) {
		ksft_print("killed by signal %d", WTERMSIG(status));
		return KSFT_FAIL;
	}
	return WEXITSTATUS(status);
}

int ksft_run(int argc, char **argv, const struct ksft_case *cases, size_t n)
{
	size_t pass = 0, fail = 0, skip = 0, count = 0, i;
	const char *only = NULL;
	int opt, list = 0, fd;

	ksft_device = getenv("EMYS_DEVICE");
	if (!ksft_device || !*ksft_device)
		ksft_device = "/dev/emys";
	while ((opt = getopt(argc, argv, "d:t:l")) != -1) {
		switch (opt) {
		case 'd':
			ksft_device = optarg;
			break;
		case 't':
			only = optarg;
			break;
		case 'l':
			list = 1;
			break;
		default:
			fprintf(stderr,
				"usage: %s [-d DEVICE] [-t SUBSTRING] [-l]\n",
				argv[0]);
			return KSFT_FAIL;
		}
	}
	for (i = 0; i < n; i++) {
		if (only && !strstr(cases[i].name, only))
			continue;
		if (list)
			puts(cases[i].name);
		count++;
	}
	if (list)
		return KSFT_PASS;

	printf("TAP version 13\n");
	fd = open(ksft_device, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		int none = errno == ENOENT || errno == ENODEV;

		printf("1..0 # SKIP %s: %s\n", ksft_device, strerror(errno));
		return none ? KSFT_SKIP : KSFT_FAIL;
	}
	close(fd);
	if (!count) {
		printf("1..0\n# no case is named like '%s'\n", only);
		return KSFT_FAIL;
	}
	printf("1..%zu\n", count);

	for (i = 0, count = 0; i < n; i++) {
		if (only && !strstr(cases[i].name, only))
			continue;
		count++;
		switch (run_case(&cases[i])) {
		case KSFT_PASS:
			printf("ok %zu %s\n", count, cases[i].name);
			pass++;
			break;
		case KSFT_SKIP:
			printf("ok %zu %s # SKIP\n", count, cases[i].name);
			skip++;
			break;
		default:
			printf("not ok %zu %s\n", count, cases[i].name);
			fail++;
		}
	}
	printf("# Totals: pass:%zu fail:%zu xfail:0 xpass:0 skip:%zu error:0\n",
	       pass, fail, skip);
	fflush(stdout);
	if (fail)
		return KSFT_FAIL;
	return pass ? KSFT_PASS : KSFT_SKIP;
}
