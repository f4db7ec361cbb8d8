// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test of vmctl run on a terminal: keys, and the terminal restored after it.
 *
 * usage: tty DEVICE GUEST (test/guest); vmctl is taken from PATH.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pty.h"
#include "tap.h"

#define WAIT_MS 20000

struct session {
	struct pty pty;
	char text[16384];	/* all that came out so far */
	size_t len;
};

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Start vmctl with the guest's letter as the leader of a new terminal. */
static void start(struct session *s, const char *device, const char *guest,
		  const char *letter)
{
	memset(s, 0, sizeof(*s));
	if (!pty_fork(&s->pty, NULL)) {
		execlp("vmctl", "vmctl", "run", "--device", device, "--kernel",
		       guest, "--memory", "16M", "--cmdline", letter,
		       "--timeout", "120", NULL);
		_exit(127);
	}
}

/* Read what comes; false once @ms passed without anything. */
static bool take(struct session *s, int ms)
{
	size_t n = pty_read(&s->pty, s->text + s->len, sizeof(s->text) - 1 - s->len, ms);

	s->len += n;
	return n;
}

static bool wait_text(struct session *s, const char *what)
{
	long end = now_ms() + WAIT_MS;

	while (!memmem(s->text, s->len, what, strlen(what)))
		if (now_ms() > end || !take(s, end - now_ms()))
			return false;
	return true;
}

static bool wait_raw(struct session *s)
{
	long end = now_ms() + WAIT_MS;
	struct termios t;

	do {
		tcgetattr(s->pty.slave, &t);
		if (!(t.c_lflag & (ICANON | ECHO | ISIG)))
			return true;
		take(s, 20);
	} while (now_ms() < end);
	return false;
}

static void keys(struct session *s, const char *k)
{
	if (write(s->pty.master, k, strlen(k)) < 0)
		perror("write");
}

/* Exit status, or -1; the terminal must be as it was. */
static int finish(struct session *s, const char *what)
{
	int status = -1;
	long end = now_ms() + WAIT_MS;

	while (waitpid(s->pty.pid, &status, WNOHANG) == 0) {
		take(s, 20);
		if (now_ms() > end) {
			kill(s->pty.pid, SIGKILL);
			waitpid(s->pty.pid, &status, 0);
		}
	}
	ok(pty_restored(&s->pty), "terminal restored after %s", what);
	pty_close(&s->pty);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(int argc, char **argv)
{
	const char *device = argv[1], *guest = argv[2];
	struct session s;
	int rc;

	if (argc != 3)
		return 2;

	start(&s, device, guest, "s");
	ok(wait_raw(&s), "terminal is raw while the guest runs");
	keys(&s, "\001h");
	ok(wait_text(&s, "this help\r\n"), "Ctrl-A h: help, lines end in CR LF");
	keys(&s, "\001c");
	ok(wait_text(&s, "vCPU 0: exits"), "Ctrl-A c: status");
	keys(&s, "\001x");
	rc = finish(&s, "Ctrl-A x");
	ok(rc == 8, "Ctrl-A x: status %d", rc);

	start(&s, device, guest, "e");
	wait_raw(&s);
	keys(&s, "\001\001");
	rc = finish(&s, "power-off");
	ok(rc == 0 && memchr(s.text, 1, s.len), "Ctrl-A Ctrl-A sends one Ctrl-A");

	start(&s, device, guest, "e");
	wait_raw(&s);
	keys(&s, "\003");
	rc = finish(&s, "power-off");
	ok(rc == 0 && memchr(s.text, 3, s.len), "Ctrl-C goes to the guest");

	start(&s, device, guest, "s");
	wait_raw(&s);
	kill(s.pty.pid, SIGTERM);
	rc = finish(&s, "SIGTERM");
	ok(rc == 8, "SIGTERM: status %d", rc);

	start(&s, device, guest, "s");
	wait_raw(&s);
	kill(s.pty.pid, SIGSEGV);
	rc = finish(&s, "a crash of vmctl");
	ok(rc == -1, "a crash stays one");

	start(&s, device, guest, "t");
	rc = finish(&s, "a triple fault");
	ok(rc == 4 && strstr(s.text, "rip"), "triple fault: status %d", rc);
	return tap_done();
}
