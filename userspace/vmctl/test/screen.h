/* SPDX-License-Identifier: GPL-2.0-only */
/* A program on a terminal of its own, and what is to be seen on that: as much of a VT100 as curses uses. */
#ifndef SCREEN_H
#define SCREEN_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pty.h"

#define SCREEN_ROWS 60
#define SCREEN_COLS 200
#define SCREEN_WAIT_MS 20000

struct screen {
	struct pty pty;
	int rows, cols, row, col;
	char text[SCREEN_ROWS][SCREEN_COLS + 1];
	bool reverse[SCREEN_ROWS];	/* something in the row is */
	bool rev;
	bool strange;			/* a sequence or a place nobody should send */
	char esc[32];
	unsigned int nr_esc;		/* 0: not in a sequence */
};

static inline void screen_clear(struct screen *s, int row, int from, int to)
{
	for (int c = from; c < to; c++)
		s->text[row][c] = ' ';
	if (!from && to == s->cols)
		s->reverse[row] = false;
}

static inline void screen_reset(struct screen *s, int rows, int cols)
{
	s->rows = rows;
	s->cols = cols;
	s->row = 0;
	s->col = 0;
	memset(s->text, 0, sizeof(s->text));
	for (int r = 0; r < rows; r++)
		screen_clear(s, r, 0, cols);
}

static inline int screen_clamp(int v, int most)
{
	return v < 0 ? 0 : v > most ? most : v;
}

static inline void screen_sequence(struct screen *s, char end)
{
	int a = 0, b = 0, n = sscanf(s->esc + 1, "%d;%d", &a, &b), by = n >= 1 && a ? a : 1;

	switch (end) {
	case 'H':
		s->strange |= a > s->rows || b > s->cols;
		s->row = screen_clamp((n >= 1 ? a : 1) - 1, s->rows - 1);
		s->col = screen_clamp((n >= 2 ? b : 1) - 1, s->cols - 1);
		break;
	case 'A':
		s->row = screen_clamp(s->row - by, s->rows - 1);
		break;
	case 'B':
		s->row = screen_clamp(s->row + by, s->rows - 1);
		break;
	case 'C':
		s->col = screen_clamp(s->col + by, s->cols - 1);
		break;
	case 'D':
		s->col = screen_clamp(s->col - by, s->cols - 1);
		break;
	case 'K':
		screen_clear(s, s->row, a == 1 ? 0 : s->col, a == 1 ? s->col + 1 : s->cols);
		break;
	case 'J':
		screen_clear(s, s->row, s->col, s->cols);
		for (int r = s->row + 1; r < s->rows; r++)
			screen_clear(s, r, 0, s->cols);
		break;
	case 'm':
		s->rev = strchr(s->esc, '7');
		break;
	case 'h':
	case 'l':
	case 'r':
		break;
	default:
		s->strange = true;
	}
}

static inline void screen_scroll(struct screen *s, int by)
{
	for (int i = 0; i < s->rows; i++) {
		int r = by > 0 ? i : s->rows - 1 - i, from = r + by;

		if (from < 0 || from >= s->rows) {
			screen_clear(s, r, 0, s->cols);
			continue;
		}
		memcpy(s->text[r], s->text[from], s->cols);
		s->reverse[r] = s->reverse[from];
	}
}

static inline void screen_char(struct screen *s, char c)
{
	if (s->nr_esc) {
		if (s->nr_esc == sizeof(s->esc) - 1) {
			s->strange = true;
			s->nr_esc = 0;
			return;
		}
		s->esc[s->nr_esc - 1] = c;
		s->esc[s->nr_esc++] = '\0';
		if (s->esc[0] == '[' && s->nr_esc > 2 && c >= '@' && c <= '~') {
			s->nr_esc = 0;
			screen_sequence(s, c);
		} else if (s->esc[0] == 'M') {
			s->nr_esc = 0;
			if (s->row)
				s->row--;
			else
				screen_scroll(s, -1);
		} else if (strchr("()", s->esc[0]) ? s->nr_esc > 2 : s->esc[0] != '[') {
			s->nr_esc = 0;
		}
		return;
	}
	switch (c) {
	case '\033':
		s->nr_esc = 1;
		break;
	case '\r':
		s->col = 0;
		break;
	case '\n':
		if (s->row < s->rows - 1)
			s->row++;
		else
			screen_scroll(s, 1);
		break;
	case '\b':
		s->col = screen_clamp(s->col - 1, s->cols - 1);
		break;
	case '\t':
		s->col = screen_clamp((s->col / 8 + 1) * 8, s->cols - 1);
		break;
	default:
		if (c < ' ')
			break;
		/* The last column holds the cursor until something more comes. */
		if (s->col == s->cols) {
			s->col = 0;
			screen_char(s, '\n');
		}
		s->text[s->row][s->col++] = c;
		s->reverse[s->row] |= s->rev;
	}
}

/* Take what comes; false once @ms passed without anything. */
static inline bool screen_take(struct screen *s, int ms)
{
	char buf[4096];
	size_t n = pty_read(&s->pty, buf, sizeof(buf), ms);

	for (size_t i = 0; i < n; i++)
		screen_char(s, buf[i]);
	return n;
}

/* Start @argv on a VT100 of that size. */
static inline void screen_start(struct screen *s, int rows, int cols, char *const argv[])
{
	struct winsize size = { .ws_row = rows, .ws_col = cols };

	memset(s, 0, sizeof(*s));
	screen_reset(s, rows, cols);
	if (!pty_fork(&s->pty, &size)) {
		setenv("TERM", "vt100", 1);
		unsetenv("LINES");
		unsetenv("COLUMNS");
		execv(argv[0], argv);
		_exit(127);
	}
}

static inline void screen_resize(struct screen *s, int rows, int cols)
{
	struct winsize size = { .ws_row = rows, .ws_col = cols };

	while (screen_take(s, 0))
		;
	screen_reset(s, rows, cols);
	ioctl(s->pty.master, TIOCSWINSZ, &size);
}

static inline void screen_key(struct screen *s, char c)
{
	if (write(s->pty.master, &c, 1) != 1)
		perror("write");
}

/* The first row that begins with @what, or -1. */
static inline int screen_find(const struct screen *s, const char *what)
{
	for (int r = 0; r < s->rows; r++)
		if (!strncmp(s->text[r], what, strlen(what)))
			return r;
	return -1;
}

/* Wait until @done says so of what is to be seen. */
static inline bool screen_wait(struct screen *s, bool (*done)(const struct screen *s))
{
	struct timespec now, begin;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		if (done(s))
			return true;
		screen_take(s, 100);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000 < SCREEN_WAIT_MS);
	for (int r = 0; r < s->rows; r++)
		printf("# |%s|\n", s->text[r]);
	return false;
}

/* The program's status once it has ended, -1 when it was killed. The terminal stays open. */
static inline int screen_end(struct screen *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(s->pty.pid, &status, WNOHANG)) == 0)
		screen_take(s, 20);
	while (screen_take(s, 0))
		;
	return pid == s->pty.pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
