/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages and numbers. */
#ifndef UTIL_H
#define UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define KIB 1024ULL
#define MIB (1024ULL * KIB)
#define GIB (1024ULL * MIB)

/* True while the terminal is raw: lines then end in CR LF. */
extern bool util_raw_tty;

/* "vmctl: " and the text and a newline, on stderr, in one write. */
void msg(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Text on stderr without prefix; '\n' becomes CR LF on a raw terminal. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Whole-string unsigned number, C prefixes; 0 or -EINVAL, -ERANGE. */
int parse_u64(const char *s, uint64_t *out);

/*
 * Number with an optional suffix K, M, G or T (powers of 1024); without a
 * suffix the unit is @unit bytes. 0 or -EINVAL, -ERANGE.
 */
int parse_size(const char *s, uint64_t unit, uint64_t *out);

static inline uint64_t round_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) / to * to;
}

static inline uint64_t round_down(uint64_t v, uint64_t to)
{
	return v / to * to;
}

/* Little-endian loads and stores at any alignment. */
uint16_t get_le16(const uint8_t *p);
uint32_t get_le32(const uint8_t *p);
uint64_t get_le64(const uint8_t *p);
void put_le16(uint8_t *p, uint16_t v);
void put_le32(uint8_t *p, uint32_t v);
void put_le64(uint8_t *p, uint64_t v);

#endif
