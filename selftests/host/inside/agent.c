// SPDX-License-Identifier: GPL-2.0-only
/*
 * The agent inside the emulated host: runs the command of the run and reports.
 *
 * Everything leaves through port 0xE9, which the emulator copies to its standard output, as
 * frames: "\n@@NONCE T LENGTH\n" and LENGTH bytes, LENGTH in eight hexadecimal digits. T is
 * b (begun, the uptime), o (output of the command), s (its exit status), k (kernel log as
 * /dev/kmsg gives it), l (kmemleak's report), r (tar of /results), f (set-up failed, why),
 * e (end). The nonce is read from a file that is removed before the command starts, so that no
 * output of the command can pass for a frame.
 *
 * usage: agent NONCE_FILE COMMAND...
 *        agent NONCE_FILE --failed MESSAGE
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT		0xe9
#define KMEMLEAK	"/sys/kernel/debug/kmemleak"

static char nonce[65];

static void out(const void *data, size_t length)
{
	asm volatile("rep outsb" : "+S"(data), "+c"(length) : "d"((unsigned short)PORT) : "memory");
}

static void frame(char type, const void *data, size_t length)
{
	char head[sizeof(nonce) + 32];
	int n;

	n = snprintf(head, sizeof(head), "\n@@%s %c %08zx\n", nonce, type, length);
	out(head, n);
	out(data, length);
}

static int read_nonce(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, nonce, sizeof(nonce) - 1);
	close(fd);
	unlink(path);
	if (n <= 0)
		return -EIO;
	nonce[strcspn(nonce, "\n")] = '\0';
	return 0;
}

/* Frame whatever FD yields until it ends or would block. Returns 0 at the end, 1 otherwise. */
static int pump(int fd, char type)
{
	static char data[65536];
	ssize_t n;

	while ((n = read(fd, data, sizeof(data))) > 0)
		frame(type, data, n);
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void pump_file(const char *path, char type)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	pump(fd, type);
	close(fd);
}

/* /dev/kmsg gives one record a read, and EPIPE once when records were overwritten. */
static void pump_kernel_log(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char record[8192];
	ssize_t n;

	if (fd < 0)
		return;
	while ((n = read(fd, record, sizeof(record))) > 0 || (n < 0 && errno == EPIPE))
		if (n > 0)
			frame('k', record, n);
	close(fd);
}

static int kmemleak(const char *word)
{
	int fd = open(KMEMLEAK, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, word, strlen(word));
	close(fd);
	return n < 0 ? -errno : 0;
}

/* A block is a leak when two scans, some time apart, find nothing that points to it. */
static void report_leaks(void)
{
	struct timespec pause = { .tv_sec = 5 };

	if (access(KMEMLEAK, W_OK))
		return;
	if (!kmemleak("scan")) {
		nanosleep(&pause, NULL);
		kmemleak("scan");
	}
	pump_file(KMEMLEAK, 'l');
}

static pid_t start(char **command, int output)
{
	pid_t pid = fork();
	int null;

	if (pid)
		return pid;
	setsid();
	null = open("/dev/null", O_RDONLY);
	dup2(null, 0);
	dup2(output, 1);
	dup2(output, 2);
	execvp(command[0], command);
	fprintf(stderr, "%s: %s\n", command[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/*
 * Run COMMAND and return its exit status, 128 + N for signal N. Processes it leaves behind may
 * hold the pipe, so the end of COMMAND counts, not the end of the pipe.
 */
static int run(char **command)
{
	struct pollfd wait[2] = { { .events = POLLIN }, { .events = POLLIN } };
	int ends[2], status;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return 125;
	pid = start(command, ends[1]);
	close(ends[1]);
	if (pid < 0 || iopl(3))
		return 125;
	wait[0].fd = ends[0];
	wait[1].fd = syscall(SYS_pidfd_open, pid, 0);
	if (wait[1].fd < 0)
		return 125;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	do {
		poll(wait, 2, -1);
		/* poll() passes over what is negative. */
		if (wait[0].fd >= 0 && !pump(ends[0], 'o'))
			wait[0].fd = -1;
	} while (!(wait[1].revents & POLLIN));
	if (waitpid(pid, &status, 0) != pid)
		return 125;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void report_results(void)
{
	if (rmdir("/results") && !system("tar -cf /tmp/.results -C /results . 2>/dev/null"))
		pump_file("/tmp/.results", 'r');
}

int main(int argc, char **argv)
{
	struct timespec up;
	char text[64];
	int n;

	if (argc < 3 || read_nonce(argv[1]))
		return 2;
	/* Ask for the port now to fail early, drop it so that the command does not inherit it. */
	if (iopl(3))
		return 3;
	if (!strcmp(argv[2], "--failed")) {
		frame('f', argv[3], argc > 3 ? strlen(argv[3]) : 0);
		pump_kernel_log();
		frame('e', "", 0);
		return 0;
	}
	clock_gettime(CLOCK_MONOTONIC, &up);
	n = snprintf(text, sizeof(text), "%lld.%02ld", (long long)up.tv_sec,
		     up.tv_nsec / 10000000);
	frame('b', text, n);
	iopl(0);
	kmemleak("clear");

	n = snprintf(text, sizeof(text), "%d", run(argv + 2));
	frame('s', text, n);
	report_leaks();
	pump_kernel_log();
	report_results();
	frame('e', "", 0);
	return 0;
}
