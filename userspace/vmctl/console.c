// SPDX-License-Identifier: GPL-2.0-only
/* The console: the serial port's other end on stdin and stdout. */
#include "console.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "util.h"

static struct termios saved;
static volatile sig_atomic_t raw;

static const char help[] =
	"\nCtrl-A x       leave: stop the VM\n"
	"Ctrl-A c       status\n"
	"Ctrl-A Ctrl-A  send Ctrl-A to the guest\n"
	"Ctrl-A h       this help\n";

void console_restore(void)
{
	if (!raw)
		return;
	raw = 0;
	util_raw_tty = false;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
}

/* Async-signal-safe: put the terminal back, then die of the signal. */
static void fatal_signal(int sig)
{
	if (raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void make_raw(void)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &saved))
		return;
	t = saved;
	cfmakeraw(&t);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &t))
		return;
	raw = 1;
	util_raw_tty = true;
	atexit(console_restore);
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
		signal(fatal[i], fatal_signal);
}

void console_init(struct console *c, bool enabled, int wake_fd)
{
	memset(c, 0, sizeof(*c));
	pthread_mutex_init(&c->lock, NULL);
	c->enabled = enabled;
	c->wake_fd = wake_fd;
	if (!enabled)
		return;
	c->input = true;
	c->tty = isatty(STDIN_FILENO);
	if (!c->tty)
		return;
	/* In the background, touching the terminal would stop the VM. */
	if (tcgetpgrp(STDIN_FILENO) != getpgrp())
		c->input = false;
	else
		make_raw();
}

/*
 * Write it all, waiting as long as it takes; but once the VM is closing, a
 * reader that does not read for a second has missed the rest.
 */
static void write_all(struct console *c, const uint8_t *p, size_t len)
{
	struct pollfd fd = { STDOUT_FILENO, POLLOUT, 0 };

	while (len && !c->out_failed) {
		ssize_t n = write(STDOUT_FILENO, p, len);

		if (n >= 0) {
			p += n;
			len -= n;
		} else if (errno != EAGAIN && errno != EINTR) {
			/* The reader is gone; the guest need not be. */
			c->out_failed = true;
		} else if (!poll(&fd, 1, c->closing ? 1000 : -1)) {
			c->out_failed = true;
		}
	}
}

void console_output(struct console *c, uint8_t byte)
{
	bool first;

	if (!c->enabled)
		return;
	pthread_mutex_lock(&c->lock);
	first = !c->out_len;
	c->out[c->out_len++] = byte;
	if (byte == '\n' || c->out_len == sizeof(c->out)) {
		write_all(c, c->out, c->out_len);
		c->out_len = 0;
	} else if (first) {
		uint64_t one = 1;

		/* The counter is full only when the wake is already due. */
		if (write(c->wake_fd, &one, sizeof(one)) < 0)
			first = false;
	}
	pthread_mutex_unlock(&c->lock);
}

bool console_flush(struct console *c)
{
	struct pollfd fd = { STDOUT_FILENO, POLLOUT, 0 };
	bool left;

	/* Whoever holds it is writing the same bytes out right now. */
	if (pthread_mutex_trylock(&c->lock))
		return true;
	if (c->out_len && (c->closing || poll(&fd, 1, 0) > 0)) {
		write_all(c, c->out, c->out_len);
		c->out_len = 0;
	}
	left = c->out_len;
	pthread_mutex_unlock(&c->lock);
	return left;
}

void console_close(struct console *c)
{
	c->closing = true;
}

/* Take the key sequences out of what was typed; the rest goes to c->in. */
static enum console_event take_keys(struct console *c, const uint8_t *typed,
				    size_t len)
{
	enum console_event event = CONSOLE_NONE;

	for (size_t i = 0; i < len; i++) {
		uint8_t b = typed[i];

		if (!c->escape) {
			if (b == CONSOLE_KEY)
				c->escape = true;
			else
				c->in[c->in_len++] = b;
			continue;
		}
		c->escape = false;
		switch (b) {
		case CONSOLE_KEY:
			c->in[c->in_len++] = b;
			break;
		case 'x':
		case 'X':
			event = CONSOLE_QUIT;
			break;
		case 'c':
			event = CONSOLE_STATUS;
			break;
		case 'h':
		case '?':
			say("%s", help);
			break;
		default:
			/* No sequence of ours: the guest gets both. */
			c->in[c->in_len++] = CONSOLE_KEY;
			c->in[c->in_len++] = b;
		}
	}
	return event;
}

void console_resume(struct console *c,
		    size_t (*sink)(void *, const uint8_t *, size_t),
		    void *ctx)
{
	if (c->in_pos < c->in_len)
		c->in_pos += sink(ctx, c->in + c->in_pos,
				  c->in_len - c->in_pos);
}

bool console_wants_input(const struct console *c)
{
	return c->input && c->in_pos == c->in_len;
}

enum console_event console_input(struct console *c,
				 size_t (*sink)(void *, const uint8_t *, size_t),
				 void *ctx)
{
	enum console_event event = CONSOLE_NONE;
	/* A Ctrl-A held back may come out in front: read one byte less. */
	uint8_t typed[sizeof(c->in) - 1];
	ssize_t n;

	n = read(STDIN_FILENO, typed, sizeof(typed));
	if (n <= 0) {
		if (!n || (errno != EINTR && errno != EAGAIN))
			c->input = false;
		return CONSOLE_NONE;
	}
	c->in_pos = 0;
	c->in_len = 0;
	if (c->tty) {
		event = take_keys(c, typed, n);
	} else {
		memcpy(c->in, typed, n);
		c->in_len = n;
	}
	console_resume(c, sink, ctx);
	return event;
}
