/* SPDX-License-Identifier: GPL-2.0-only */
/* A program on a terminal of its own. */
#ifndef PTY_H
#define PTY_H

#include <poll.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <utmp.h>

struct pty {
	int master, slave;
	pid_t pid;
	struct termios before;
};

/* Fork a process that leads a new terminal; 0 in it. @size may be NULL. */
static inline pid_t pty_fork(struct pty *p, const struct winsize *size)
{
	if (openpty(&p->master, &p->slave, NULL, NULL, size)) {
		perror("openpty");
		exit(1);
	}
	tcgetattr(p->slave, &p->before);
	p->pid = fork();
	if (!p->pid) {
		close(p->master);
		login_tty(p->slave);
	}
	return p->pid;
}

/* What comes within @ms: its size, at most @size; 0 when nothing came. */
static inline size_t pty_read(const struct pty *p, char *buf, size_t size, int ms)
{
	struct pollfd fd = { p->master, POLLIN, 0 };
	ssize_t n;

	if (poll(&fd, 1, ms) <= 0)
		return 0;
	n = read(p->master, buf, size);
	return n > 0 ? n : 0;
}

/* Is the terminal as it was before the program? */
static inline bool pty_restored(const struct pty *p)
{
	struct termios now;

	tcgetattr(p->slave, &now);
	return now.c_lflag == p->before.c_lflag && now.c_iflag == p->before.c_iflag &&
	       now.c_oflag == p->before.c_oflag && now.c_cflag == p->before.c_cflag;
}

static inline void pty_close(struct pty *p)
{
	close(p->master);
	close(p->slave);
}

#endif
