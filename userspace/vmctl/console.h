/* SPDX-License-Identifier: GPL-2.0-only */
/* The console: the serial port's other end on stdin and stdout. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONSOLE_OUT 1024
#define CONSOLE_KEY 1		/* Ctrl-A */

enum console_event {
	CONSOLE_NONE,
	CONSOLE_QUIT,		/* Ctrl-A x */
	CONSOLE_STATUS,		/* Ctrl-A c */
};

struct console {
	bool enabled;
	bool input;		/* stdin is to be read */
	bool tty;		/* and is a terminal: keys are interpreted */
	bool escape;		/* the last byte was Ctrl-A */
	int wake_fd;		/* written when output waits for a flush */

	pthread_mutex_t lock;	/* covers the output buffer */
	uint8_t out[CONSOLE_OUT];
	size_t out_len;
	bool out_failed;
	_Atomic bool closing;

	/* Input that the serial port had no room for yet. */
	uint8_t in[256];
	size_t in_pos, in_len;
};

/*
 * Take over stdin and stdout; a terminal becomes raw until console_restore(),
 * which also runs at exit and on fatal signals. @enabled false: nothing is
 * read and output is dropped.
 */
void console_init(struct console *c, bool enabled, int wake_fd);
void console_restore(void);

/* One byte from the guest; written at a line's end, when full, or on flush. */
void console_output(struct console *c, uint8_t byte);
/* True if something still waits, because stdout takes nothing now. */
bool console_flush(struct console *c);
/* The VM is ending: from now on, stop waiting for a reader that hangs. */
void console_close(struct console *c);

/*
 * stdin is readable: read it, act on keys, and pass the rest to @sink, which
 * returns how much it took. What it refuses is kept for console_resume().
 */
enum console_event console_input(struct console *c,
				 size_t (*sink)(void *, const uint8_t *, size_t),
				 void *ctx);
void console_resume(struct console *c,
		    size_t (*sink)(void *, const uint8_t *, size_t),
		    void *ctx);
/* Whether there is room to read more. */
bool console_wants_input(const struct console *c);

#endif
