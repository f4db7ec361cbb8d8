// SPDX-License-Identifier: GPL-2.0-only
/*
 * LZ4's legacy frame ("lz4 -l"), unpacked with nothing but this file.
 *
 * A frame is a magic number and blocks, each a 32-bit size and its sequences: a token (literal
 * length, match length), literals, a 16-bit distance back; a length nibble of 15 goes on in bytes.
 */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

void unlz4(const u8 *from, u32 bytes, u8 *to);

static u8 *copy(u8 *to, const u8 *from, u64 n)
{
	asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return to;
}

static u64 length(u64 nibble, const u8 **from)
{
	u64 sum = nibble;
	u8 byte;

	if (nibble < 15)
		return sum;
	do {
		byte = *(*from)++;
		sum += byte;
	} while (byte == 255);
	return sum;
}

static u8 *block(const u8 *from, const u8 *end, u8 *to)
{
	for (;;) {
		u8 token = *from++;
		u64 n = length(token >> 4, &from);
		u32 back;

		to = copy(to, from, n);
		from += n;
		if (from >= end)
			return to;
		back = from[0] | from[1] << 8;
		from += 2;
		n = length(token & 15, &from) + 4;
		/* Source and target may overlap on purpose: byte by byte repeats the pattern. */
		to = copy(to, to - back, n);
	}
}

void unlz4(const u8 *from, u32 bytes, u8 *to)
{
	const u8 *end = from + bytes;

	for (from += 4; from < end;) {
		u32 n = *(const u32 *)from;

		from += 4;
		to = block(from, from + n, to);
		from += n;
	}
}
