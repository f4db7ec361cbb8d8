// SPDX-License-Identifier: GPL-2.0-only
/* Tests of the devices behind the ports: UART, CMOS clock, power, the bus. */
#include <string.h>

#include "bus.h"
#include "layout.h"
#include "pm.h"
#include "rtc.h"
#include "tap.h"
#include "uart.h"
#include "util.h"

static struct {
	int level, edges;
	enum stop_reason stop;
	unsigned int code;
	char out[256];
	size_t out_len;
	int drained;
} seen;

static void set_irq(void *ctx, unsigned int gsi, int level)
{
	(void)ctx;
	if (gsi == IRQ_COM1) {
		seen.edges += level && !seen.level;
		seen.level = level;
	}
}

static void stop(void *ctx, enum stop_reason reason, unsigned int code)
{
	(void)ctx;
	seen.stop = reason;
	seen.code = code;
}

static void output(void *ctx, uint8_t byte)
{
	(void)ctx;
	seen.out[seen.out_len++ % sizeof(seen.out)] = byte;
}

static void drained(void *ctx)
{
	(void)ctx;
	seen.drained++;
}

static const struct board board = { .set_irq = set_irq, .stop = stop };
static const struct uart_line line = { NULL, output, drained };
static struct bus pio;

static uint32_t in(uint16_t port, unsigned int size)
{
	uint8_t d[4] = { 0 };

	bus_read(&pio, port, d, size);
	return get_le32(d);
}

static void out(uint16_t port, uint32_t v, unsigned int size)
{
	uint8_t d[4];

	put_le32(d, v);
	bus_write(&pio, port, d, size);
}

static uint8_t uart_in(unsigned int reg)
{
	return in(PORT_COM1 + reg, 1);
}

static void uart_out(unsigned int reg, uint8_t v)
{
	out(PORT_COM1 + reg, v, 1);
}

/* What the 8250 driver does to find and size a port. */
static void test_uart_probe(void)
{
	uart_out(1, 0);
	ok((uart_in(1) & 0xf) == 0, "IER reads back 0");
	uart_out(1, 0xff);
	ok(uart_in(1) == 0x0f, "IER keeps four bits");
	uart_out(1, 0);
	uart_out(4, 0x10 | 0x0a);
	ok((uart_in(6) & 0xf0) == 0x90, "loopback: modem status is modem control");
	uart_out(4, 0);
	uart_out(2, 1);
	ok(uart_in(2) >> 6 == 3, "FIFO enabled: a 16550A");
	uart_out(2, 0);
	ok(uart_in(2) >> 6 == 0, "FIFO disabled");
	uart_out(3, 0x80);
	uart_out(0, 0x0c);
	uart_out(1, 0x34);
	ok(uart_in(0) == 0x0c && uart_in(1) == 0x34, "divisor latch");
	uart_out(3, 0x03);
	ok(uart_in(1) == 0, "divisor latch hides no IER bits");
	uart_out(7, 0xa5);
	ok(uart_in(7) == 0xa5, "scratch register");
}

static void test_uart_tx(void)
{
	seen.out_len = 0;
	uart_out(2, 1);
	uart_out(4, 0x0b);
	ok((uart_in(5) & 0x60) == 0x60, "LSR: transmitter empty");
	uart_out(1, 0);
	seen.edges = 0;
	uart_out(1, 2);
	ok(seen.level && seen.edges == 1, "enabling THRE interrupt raises it");
	ok((uart_in(2) & 0xf) == 2 && !seen.level, "IIR: THRE, and reading it acknowledges");
	ok((uart_in(2) & 0xf) == 1, "IIR: then nothing");
	uart_out(0, 'h');
	ok(seen.level && seen.edges == 2, "a byte sent raises it again");
	uart_out(0, 'i');
	ok(seen.edges == 3, "a byte more is an edge of its own");
	ok(seen.out_len == 2 && !memcmp(seen.out, "hi", 2), "both came out");
	uart_out(1, 0);
	ok(!seen.level, "disabling drops the line");
	uart_out(1, 2);
	ok((uart_in(2) & 0xf) == 2, "and enabling again raises it");
	uart_out(4, 0x03);
	ok(!seen.level, "OUT2 gates the line");
	uart_out(0, 'x');
	uart_out(4, 0x0b);
	ok(seen.level, "and lets it through again");
	uart_out(1, 0);
}

static void test_uart_rx(struct uart *u)
{
	static uint8_t big[UART_PENDING + 100];
	unsigned int got = 0;
	size_t n;

	uart_out(2, 7);
	uart_in(5);
	n = uart_input(u, (const uint8_t *)"abc", 3);
	uart_out(2, 7);		/* a driver starts: clears the FIFO */
	uart_in(0);
	ok(n == 3 && !(uart_in(5) & 1), "input waits for a listener");
	seen.edges = 0;
	uart_out(1, 1);
	ok(seen.edges == 1 && (uart_in(2) & 0xf) == 4, "enabling RX delivers it");
	ok(uart_in(5) & 1 && uart_in(0) == 'a' && uart_in(0) == 'b' && seen.level,
	   "two bytes read, the line stays up");
	ok(uart_in(0) == 'c' && !seen.level && !(uart_in(5) & 1),
	   "the last byte drops it");
	ok(uart_in(0) == 0, "an empty port reads 0");

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = i;
	n = uart_input(u, big, sizeof(big));
	ok(n < sizeof(big) && n >= UART_PENDING, "more than it holds is refused");
	seen.drained = 0;
	while (uart_in(5) & 1 && got < n && uart_in(0) == (uint8_t)got)
		got++;
	ok(got == n && seen.drained == 1, "all %zu bytes in order, drained told once", n);

	uart_out(2, 0);
	uart_input(u, (const uint8_t *)"order", 5);
	uart_out(2, 1);
	uart_out(2, 7);
	ok(uart_in(0) == 'o' && uart_in(0) == 'r', "clearing the FIFO loses no input");
	uart_out(4, 0x1b);
	uart_out(0, 'L');
	ok(uart_in(5) & 1 && uart_in(0) == 'L' && !(uart_in(5) & 1),
	   "loopback: a byte sent comes back, and no input");
	uart_out(0, 'M');
	uart_out(4, 0x0b);
	ok(uart_in(0) == 'd' && uart_in(0) == 'e' && uart_in(0) == 'r' &&
	   !(uart_in(5) & 1), "loopback off: input goes on where it was");

	uart_out(1, 0);
	uart_in(5);
	uart_input(u, (const uint8_t *)"p", 1);
	uart_out(0, '>');
	ok(!(uart_in(5) & 1), "one poll is no listener");
	for (int i = 0; i < 10; i++)
		uart_in(5);
	ok(uart_in(5) & 1 && uart_in(0) == 'p', "a polling guest gets its input");
}

static time_t noon(void)
{
	return 1795176000;	/* 2026-11-20 12:00:00 UTC, a Friday */
}

static uint8_t cmos(uint8_t reg)
{
	out(PORT_RTC, reg, 1);
	return in(PORT_RTC + 1, 1);
}

static void test_rtc(struct rtc *rtc)
{
	rtc->now = noon;
	ok(cmos(0) == 0 && cmos(2) == 0 && cmos(4) == 0x12 && cmos(7) == 0x20 &&
	   cmos(8) == 0x11 && cmos(9) == 0x26 && cmos(0x32) == 0x20 && cmos(6) == 6,
	   "BCD time");
	ok(!(cmos(10) & 0x80) && cmos(13) == 0x80, "no update in progress, valid");
	out(PORT_RTC, 0x8b, 1);
	out(PORT_RTC + 1, 0x06, 1);
	ok(cmos(8) == 11 && cmos(9) == 26, "binary time");
	out(PORT_RTC, 11, 1);
	out(PORT_RTC + 1, 0x04, 1);
	ok(cmos(4) == (12 | 0x80), "12-hour clock");
	out(PORT_RTC, 0x40, 1);
	out(PORT_RTC + 1, 0x77, 1);
	ok(cmos(0x40) == 0x77, "CMOS memory");
}

static uint64_t fake_ns;

static uint64_t fake_now(void)
{
	return fake_ns;
}

static void test_pm(struct pm *pm)
{
	pm->now_ns = fake_now;
	pm->start_ns = 0;
	fake_ns = 1000000000;
	ok(in(PORT_PM + 8, 4) == PM_TIMER_HZ, "PM timer counts a second");
	fake_ns = 3600ULL * 1000000000;
	ok(in(PORT_PM + 8, 4) == (uint32_t)(3600ULL * PM_TIMER_HZ), "PM timer wraps");
	ok(in(PORT_PM + 4, 2) & 1, "SCI_EN is set");
	out(PORT_PM + 2, 0x0120, 2);
	ok(in(PORT_PM, 4) == 0x01200000, "PM1 enable");
	seen.stop = STOP_NONE;
	out(PORT_PM + 4, 5 << 10, 2);
	ok(seen.stop == STOP_NONE, "sleep type alone does nothing");
	out(PORT_PM + 4, 3 << 10 | 1 << 13, 2);
	ok(seen.stop == STOP_NONE, "another sleep state does nothing");
	out(PORT_PM + 4, 5 << 10 | 1 << 13, 2);
	ok(seen.stop == STOP_POWEROFF, "S5 powers off");
	seen.stop = STOP_NONE;
	out(PORT_RESET, 2, 1);
	ok(seen.stop == STOP_NONE && in(PORT_RESET, 1) == 2, "0xcf9: no reset yet");
	out(PORT_RESET, 6, 1);
	ok(seen.stop == STOP_RESET, "0xcf9: reset");
	seen.stop = STOP_NONE;
	ok(in(PORT_I8042, 1) == 0, "keyboard controller ready");
	out(PORT_I8042, 0xaa, 1);
	ok(seen.stop == STOP_NONE, "keyboard controller: other commands");
	out(PORT_I8042, 0xfe, 1);
	ok(seen.stop == STOP_RESET, "keyboard controller: reset");
	out(0xf4, 0x123, 4);
	ok(seen.stop == STOP_PORT && seen.code == 0x123, "exit port");
}

static void test_bus(void)
{
	const struct bus_region overlap = { .base = PORT_COM1 + 7, .len = 2, .width = 1 };
	struct bus full = { .nr = BUS_REGIONS };

	ok(in(0x5000, 4) == 0xffffffff, "nothing there: all ones");
	ok(in(PORT_COM1 + 7, 2) >> 8 == 0xff, "an access half beside a device");
	out(PORT_COM1 + 7, 0x1234, 2);
	ok(uart_in(7) == 0x34, "and a write");
	ok(bus_add(&pio, &overlap) == -16, "overlap is refused");
	ok(bus_add(&full, &overlap) == -28, "a full bus is refused");
}

int main(void)
{
	static struct uart uart;
	static struct rtc rtc;
	static struct pm pm;

	if (uart_init(&uart, &pio, PORT_COM1, IRQ_COM1, &board, &line) ||
	    rtc_init(&rtc, &pio) || pm_init(&pm, &pio, &board) ||
	    pm_exit_port(&pm, &pio, 0xf4))
		return 1;
	test_uart_probe();
	test_uart_tx();
	test_uart_rx(&uart);
	test_rtc(&rtc);
	test_pm(&pm);
	test_bus();
	return tap_done();
}
