// SPDX-License-Identifier: GPL-2.0-only
/* Messages and numbers. */
#include "util.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool util_raw_tty;

static void emit(const char *prefix, const char *fmt, va_list ap)
{
	char text[2048], out[2 * sizeof(text) + 16];
	size_t n = 0;

	vsnprintf(text, sizeof(text), fmt, ap);
	while (*prefix)
		out[n++] = *prefix++;
	for (const char *p = text; *p; p++) {
		if (*p == '\n' && util_raw_tty)
			out[n++] = '\r';
		out[n++] = *p;
	}
	/* A lost message has nowhere to be reported. */
	if (write(STDERR_FILENO, out, n) < 0)
		return;
}

void msg(const char *fmt, ...)
{
	char line[2048];
	va_list ap;

	snprintf(line, sizeof(line), "%s\n", fmt);
	va_start(ap, fmt);
	emit("vmctl: ", line, ap);
	va_end(ap);
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit("", fmt, ap);
	va_end(ap);
}

int parse_u64(const char *s, uint64_t *out)
{
	char *end;

	/* strtoull would take a sign and leading spaces. */
	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	*out = strtoull(s, &end, 0);
	if (errno)
		return -ERANGE;
	return *end ? -EINVAL : 0;
}

int parse_size(const char *s, uint64_t unit, uint64_t *out)
{
	static const char suffix[] = "KMGT";
	const char *hit;
	uint64_t v;
	char *end;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	v = strtoull(s, &end, 0);
	if (errno)
		return -ERANGE;
	if (*end) {
		hit = strchr(suffix, toupper((unsigned char)*end));
		if (!hit || !*hit)
			return -EINVAL;
		unit = KIB << (10 * (hit - suffix));
		end++;
		/* "512M", "512MB" and "512MiB" are the same to everybody. */
		if (!strcasecmp(end, "b") || !strcasecmp(end, "ib"))
			end += strlen(end);
		if (*end)
			return -EINVAL;
	}
	if (__builtin_mul_overflow(v, unit, out))
		return -ERANGE;
	return 0;
}

uint16_t get_le16(const uint8_t *p)
{
	return p[0] | p[1] << 8;
}

uint32_t get_le32(const uint8_t *p)
{
	return get_le16(p) | (uint32_t)get_le16(p + 2) << 16;
}

uint64_t get_le64(const uint8_t *p)
{
	return get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}

void put_le16(uint8_t *p, uint16_t v)
{
	p[0] = v;
	p[1] = v >> 8;
}

void put_le32(uint8_t *p, uint32_t v)
{
	put_le16(p, v);
	put_le16(p + 2, v >> 16);
}

void put_le64(uint8_t *p, uint64_t v)
{
	put_le32(p, v);
	put_le32(p + 4, v >> 32);
}
