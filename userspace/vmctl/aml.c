// SPDX-License-Identifier: GPL-2.0-only
/* AML: a byte-code builder for the few objects the DSDT needs. */
#include "aml.h"

#include <string.h>

/* ACPI specification, chapter "ACPI Machine Language (AML) Specification". */
enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_EXT = 0x5b,
	OP_EXT_DEVICE = 0x82,
};

static void put(struct aml *a, const void *data, size_t len)
{
	if (a->full || len > a->size - a->len) {
		a->full = true;
		return;
	}
	memcpy(a->buf + a->len, data, len);
	a->len += len;
}

static void put8(struct aml *a, uint8_t v)
{
	put(a, &v, 1);
}

static void open_length(struct aml *a)
{
	if (a->depth == AML_DEPTH) {
		a->full = true;
		return;
	}
	a->open[a->depth++] = a->len;
}

void aml_close(struct aml *a)
{
	size_t at, body, n;
	uint8_t enc[4];

	if (a->full || !a->depth) {
		a->full = true;
		return;
	}
	at = a->open[--a->depth];
	body = a->len - at;
	/* The length counts its own bytes. */
	for (n = 1; n < 4; n++)
		if (body + n < (n == 1 ? 0x40u : 1u << (4 + 8 * (n - 1))))
			break;
	if (n > a->size - a->len) {
		a->full = true;
		return;
	}
	memmove(a->buf + at + n, a->buf + at, body);
	a->len += n;
	body += n;
	if (n == 1) {
		enc[0] = body;
	} else {
		enc[0] = (n - 1) << 6 | (body & 0x0f);
		for (size_t i = 1; i < n; i++)
			enc[i] = body >> (4 + 8 * (i - 1));
	}
	memcpy(a->buf + at, enc, n);
}

static void put_name(struct aml *a, const char *name)
{
	size_t len = strlen(name);

	put(a, name, len);
	/* Segments are padded to four characters. */
	for (len -= name[0] == '\\'; len < 4; len++)
		put8(a, '_');
}

void aml_scope(struct aml *a, const char *name)
{
	put8(a, OP_SCOPE);
	open_length(a);
	put_name(a, name);
}

void aml_device(struct aml *a, const char *name)
{
	put8(a, OP_EXT);
	put8(a, OP_EXT_DEVICE);
	open_length(a);
	put_name(a, name);
}

void aml_package(struct aml *a, uint8_t count)
{
	put8(a, OP_PACKAGE);
	open_length(a);
	put8(a, count);
}

void aml_name(struct aml *a, const char *name)
{
	put8(a, OP_NAME);
	put_name(a, name);
}

void aml_int(struct aml *a, uint32_t v)
{
	if (v <= 1) {
		put8(a, v ? OP_ONE : OP_ZERO);
		return;
	}
	put8(a, v <= 0xff ? OP_BYTE : v <= 0xffff ? OP_WORD : OP_DWORD);
	put8(a, v);
	if (v > 0xff)
		put8(a, v >> 8);
	if (v > 0xffff) {
		put8(a, v >> 16);
		put8(a, v >> 24);
	}
}

static unsigned int hex(char c)
{
	return c <= '9' ? c - '0' : c - 'A' + 10;
}

void aml_eisaid(struct aml *a, const char *id)
{
	unsigned int v = 0;

	/* Three letters of five bits, four hex digits, most significant first */
	for (int i = 0; i < 3; i++)
		v = v << 5 | (id[i] & 0x1f);
	for (int i = 3; i < 7; i++)
		v = v << 4 | hex(id[i]);
	put8(a, OP_DWORD);
	put8(a, v >> 24);
	put8(a, v >> 16);
	put8(a, v >> 8);
	put8(a, v);
}

void aml_resources(struct aml *a)
{
	put8(a, OP_BUFFER);
	open_length(a);
	/* Size of the buffer: filled in by the close. */
	put8(a, OP_BYTE);
	put8(a, 0);
}

void aml_resources_close(struct aml *a)
{
	size_t at;

	put8(a, 0x79);		/* end tag */
	put8(a, 0);		/* no checksum */
	if (a->full || !a->depth)
		return;
	at = a->open[a->depth - 1];
	if (a->len - at - 2 > 0xff) {
		a->full = true;
		return;
	}
	a->buf[at + 1] = a->len - at - 2;
	aml_close(a);
}

void aml_io(struct aml *a, uint16_t base, uint8_t len)
{
	const uint8_t d[] = {
		0x47, 0x01,			/* I/O port, 16-bit decode */
		base & 0xff, base >> 8, base & 0xff, base >> 8,
		0x01, len,
	};

	put(a, d, sizeof(d));
}

void aml_irq(struct aml *a, unsigned int irq)
{
	const uint16_t mask = 1u << irq;
	const uint8_t d[] = { 0x22, mask & 0xff, mask >> 8 };

	put(a, d, sizeof(d));
}

/* Address space descriptors: fixed at both ends, decoded positively. */
#define WINDOW_BUS		2
#define WINDOW_IO		1
#define WINDOW_MEMORY		0
#define WINDOW_FIXED		0x0c

static void word_window(struct aml *a, uint8_t type, uint8_t flags,
			uint16_t base, uint16_t len)
{
	const uint16_t last = base + len - 1;
	const uint8_t d[] = {
		0x88, 13, 0, type, WINDOW_FIXED, flags,
		0, 0,				/* granularity */
		base & 0xff, base >> 8, last & 0xff, last >> 8,
		0, 0,				/* translation */
		len & 0xff, len >> 8,
	};

	put(a, d, sizeof(d));
}

void aml_bus_window(struct aml *a, uint16_t base, uint16_t len)
{
	word_window(a, WINDOW_BUS, 0, base, len);
}

void aml_io_window(struct aml *a, uint16_t base, uint16_t len)
{
	word_window(a, WINDOW_IO, 3, base, len);	/* ISA and other ranges */
}

void aml_mem_window(struct aml *a, uint32_t base, uint32_t len)
{
	const uint8_t head[] = { 0x87, 23, 0, WINDOW_MEMORY, WINDOW_FIXED, 1 };
	const uint32_t v[] = { 0, base, base + len - 1, 0, len };

	put(a, head, sizeof(head));	/* read-write, not cacheable */
	for (size_t i = 0; i < 5; i++)
		for (unsigned int shift = 0; shift < 32; shift += 8)
			put8(a, v[i] >> shift);
}
