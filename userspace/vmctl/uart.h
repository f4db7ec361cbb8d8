/* SPDX-License-Identifier: GPL-2.0-only */
/* 16550A serial port. */
#ifndef UART_H
#define UART_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "board.h"
#include "bus.h"

#define UART_FIFO 16
#define UART_PENDING 4096
#define UART_RING (UART_PENDING + UART_FIFO)

/* Where the port's output goes, and who hears that input was taken. */
struct uart_line {
	void *ctx;
	void (*output)(void *ctx, uint8_t byte);
	void (*drained)(void *ctx);	/* room for input again */
};

struct uart {
	pthread_mutex_t lock;	/* covers all below */
	const struct board *board;
	struct uart_line line;
	unsigned int irq;
	int irq_level;

	uint8_t ier, iir_fcr, lcr, mcr, scr, dll, dlm;
	uint8_t thr_pending;	/* THRE interrupt not yet acknowledged */
	unsigned int polls;	/* LSR reads since the last byte sent */

	/* What the guest can read now. */
	uint8_t fifo[UART_FIFO];
	unsigned int fifo_head, fifo_len;
	/* What was typed and waits until the guest listens. */
	uint8_t pending[UART_RING];
	unsigned int pend_head, pend_len;
	int want_drained;
};

/* Set up @u and put it on @pio at @base. 0 or bus_add()'s errno. */
int uart_init(struct uart *u, struct bus *pio, uint16_t base, unsigned int irq,
	      const struct board *board, const struct uart_line *line);

/*
 * Give input to the guest: returns how many bytes were taken. When it is less
 * than @len, line.drained() is called once there is room again.
 */
size_t uart_input(struct uart *u, const uint8_t *data, size_t len);

#endif
