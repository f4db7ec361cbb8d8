// SPDX-License-Identifier: GPL-2.0-only
/* 16550A serial port. */
#include "uart.h"

#include <stdbool.h>
#include <string.h>

/* Registers; DLL and DLM lie behind RBR and IER when LCR_DLAB is set. */
enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR, NR_REGS };

#define IER_RDI		0x01
#define IER_THRI	0x02
#define IER_ALL		0x0f
#define IIR_NONE	0x01
#define IIR_THRI	0x02
#define IIR_RDI		0x04
#define IIR_FIFO	0xc0
#define FCR_ENABLE	0x01
#define FCR_CLEAR_RX	0x02
#define LCR_DLAB	0x80
#define MCR_OUT2	0x08
#define MCR_LOOP	0x10
#define MCR_ALL		0x1f
#define LSR_DR		0x01
#define LSR_THRE	0x20
#define LSR_TEMT	0x40
#define MSR_CTS		0x10
#define MSR_DSR		0x20
#define MSR_RI		0x40
#define MSR_DCD		0x80

/*
 * A driver reads the port empty when it starts, so input stays out of the FIFO
 * until the guest listens: it enables the receive interrupt, or polls LSR this
 * many times without sending (drivers that send poll only once).
 */
#define POLLS_LISTENING 8

static bool listening(const struct uart *u)
{
	return u->ier & IER_RDI || u->polls >= POLLS_LISTENING;
}

static void fifo_put(struct uart *u, uint8_t byte)
{
	u->fifo[(u->fifo_head + u->fifo_len) % UART_FIFO] = byte;
	u->fifo_len++;
}

/* Move typed bytes on; the lines of a looped-back port are cut. */
static void refill(struct uart *u)
{
	unsigned int room = u->iir_fcr & FCR_ENABLE ? UART_FIFO : 1;

	if (u->mcr & MCR_LOOP || !listening(u))
		return;
	while (u->fifo_len < room && u->pend_len) {
		fifo_put(u, u->pending[u->pend_head]);
		u->pend_head = (u->pend_head + 1) % UART_RING;
		u->pend_len--;
	}
	if (u->want_drained && u->pend_len < UART_PENDING / 2) {
		u->want_drained = 0;
		u->line.drained(u->line.ctx);
	}
}

/*
 * Take back what was not read: a line that waits for the guest loses nothing
 * when the guest clears its FIFO. Between two settings of MCR_LOOP the FIFO
 * holds only what looped back.
 */
static void unread(struct uart *u)
{
	while (u->fifo_len && !(u->mcr & MCR_LOOP)) {
		u->fifo_len--;
		u->pend_head = (u->pend_head + UART_RING - 1) % UART_RING;
		u->pend_len++;
		u->pending[u->pend_head] =
			u->fifo[(u->fifo_head + u->fifo_len) % UART_FIFO];
	}
	u->fifo_len = 0;
}

static uint8_t pending_irq(const struct uart *u)
{
	if (u->ier & IER_RDI && u->fifo_len)
		return IIR_RDI;
	if (u->ier & IER_THRI && u->thr_pending)
		return IIR_THRI;
	return IIR_NONE;
}

/*
 * Drive the interrupt line. OUT2 is the PC's gate between chip and line; a
 * looped-back chip has it disconnected.
 */
static void update_irq(struct uart *u)
{
	int level = pending_irq(u) != IIR_NONE && u->mcr & MCR_OUT2 &&
		    !(u->mcr & MCR_LOOP);

	if (level == u->irq_level)
		return;
	u->irq_level = level;
	u->board->set_irq(u->board->ctx, u->irq, level);
}

static uint8_t read_msr(const struct uart *u)
{
	uint8_t msr = 0;

	if (!(u->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	/* Loopback: DTR, RTS, OUT1, OUT2 come back as DSR, CTS, RI, DCD. */
	if (u->mcr & 0x01)
		msr |= MSR_DSR;
	if (u->mcr & 0x02)
		msr |= MSR_CTS;
	if (u->mcr & 0x04)
		msr |= MSR_RI;
	if (u->mcr & MCR_OUT2)
		msr |= MSR_DCD;
	return msr;
}

static uint8_t read_rbr(struct uart *u)
{
	uint8_t byte = 0;

	if (u->fifo_len) {
		byte = u->fifo[u->fifo_head];
		u->fifo_head = (u->fifo_head + 1) % UART_FIFO;
		u->fifo_len--;
	}
	refill(u);
	return byte;
}

static uint8_t read_iir(struct uart *u)
{
	uint8_t iir = pending_irq(u);

	/* Reading it acknowledges the transmit interrupt, and only that. */
	if (iir == IIR_THRI)
		u->thr_pending = 0;
	return iir | (u->iir_fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_reg(struct uart *u, unsigned int reg)
{
	bool dlab = u->lcr & LCR_DLAB;

	switch (reg) {
	case RBR_THR:
		return dlab ? u->dll : read_rbr(u);
	case IER:
		return dlab ? u->dlm : u->ier;
	case IIR_FCR:
		return read_iir(u);
	case LCR:
		return u->lcr;
	case MCR:
		return u->mcr;
	case LSR:
		u->polls++;
		refill(u);
		return LSR_THRE | LSR_TEMT | (u->fifo_len ? LSR_DR : 0);
	case MSR:
		return read_msr(u);
	default:
		return u->scr;
	}
}

static void write_thr(struct uart *u, uint8_t byte)
{
	u->polls = 0;
	if (u->mcr & MCR_LOOP) {
		if (u->fifo_len < (u->iir_fcr & FCR_ENABLE ? UART_FIFO : 1))
			fifo_put(u, byte);
	} else {
		u->line.output(u->line.ctx, byte);
	}
	/* Sent at once: the register is empty again. */
	u->thr_pending = 1;
}

static void write_reg(struct uart *u, unsigned int reg, uint8_t v)
{
	bool dlab = u->lcr & LCR_DLAB;

	switch (reg) {
	case RBR_THR:
		if (dlab)
			u->dll = v;
		else
			write_thr(u, v);
		break;
	case IER:
		if (dlab) {
			u->dlm = v;
			break;
		}
		/* Enabling it while the register is empty raises it. */
		if (v & ~u->ier & IER_THRI)
			u->thr_pending = 1;
		u->ier = v & IER_ALL;
		refill(u);
		break;
	case IIR_FCR:
		if (v & FCR_CLEAR_RX || (v ^ u->iir_fcr) & FCR_ENABLE)
			unread(u);
		u->iir_fcr = v & FCR_ENABLE;
		refill(u);
		break;
	case LCR:
		u->lcr = v;
		break;
	case MCR:
		if ((v ^ u->mcr) & MCR_LOOP)
			unread(u);
		u->mcr = v & MCR_ALL;
		refill(u);
		break;
	case SCR:
		u->scr = v;
		break;
	}
}

static void uart_read(void *dev, uint64_t off, uint8_t *data, unsigned int len)
{
	struct uart *u = dev;

	(void)len;
	pthread_mutex_lock(&u->lock);
	*data = read_reg(u, off);
	update_irq(u);
	pthread_mutex_unlock(&u->lock);
}

static void uart_write(void *dev, uint64_t off, const uint8_t *data,
		       unsigned int len)
{
	struct uart *u = dev;

	(void)len;
	pthread_mutex_lock(&u->lock);
	/* A byte sent before the last one's interrupt was taken is an edge. */
	if (off == RBR_THR && !(u->lcr & LCR_DLAB)) {
		u->thr_pending = 0;
		update_irq(u);
	}
	write_reg(u, off, *data);
	update_irq(u);
	pthread_mutex_unlock(&u->lock);
}

size_t uart_input(struct uart *u, const uint8_t *data, size_t len)
{
	size_t n = 0;

	pthread_mutex_lock(&u->lock);
	while (n < len && u->pend_len < UART_PENDING) {
		u->pending[(u->pend_head + u->pend_len) % UART_RING] =
			data[n++];
		u->pend_len++;
	}
	if (n < len)
		u->want_drained = 1;
	refill(u);
	update_irq(u);
	pthread_mutex_unlock(&u->lock);
	return n;
}

int uart_init(struct uart *u, struct bus *pio, uint16_t base, unsigned int irq,
	      const struct board *board, const struct uart_line *line)
{
	const struct bus_region region = {
		.base = base, .len = NR_REGS, .width = 1, .dev = u,
		.read = uart_read, .write = uart_write,
	};

	memset(u, 0, sizeof(*u));
	pthread_mutex_init(&u->lock, NULL);
	u->board = board;
	u->line = *line;
	u->irq = irq;
	u->dll = 1;		/* 115200 baud */
	u->mcr = MCR_OUT2;
	return bus_add(pio, &region);
}
