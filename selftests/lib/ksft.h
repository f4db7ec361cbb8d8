/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ksft: the TAP runner of a test program.
 *
 * A program is a table of cases. Each case runs in a child process with a time
 * limit, so that a case which crashes, hangs or leaks says nothing about the
 * next one. A case that returns has passed; ksft_fail() and the CHECK macros
 * end it as failed, ksft_skip() and REQUIRE() end it as skipped.
 *
 * Exit status of a program: 0 all passed (some may have been skipped),
 * 1 at least one failed, 4 every case was skipped.
 */
#ifndef _KSFT_H
#define _KSFT_H

#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define __printf(f, a)	__attribute__((format(printf, f, a)))
#define __noreturn	__attribute__((noreturn))

#define KSFT_PASS	0
#define KSFT_FAIL	1
#define KSFT_SKIP	4

/* seconds of (virtual) time a case may take unless it says otherwise */
#define KSFT_TIMEOUT	20

struct ksft_case {
	const char *name;
	void (*run)(void);
	unsigned int timeout;		/* seconds; 0 means KSFT_TIMEOUT */
};

/* the device under test: -d, else $EMYS_DEVICE, else /dev/emys */
extern const char *ksft_device;

/* true when the device under test is emys, false when it is another KVM */
int ksft_is_emys(void);

/* $EMYS_SLOW: how many times slower than usual this host is, a debug kernel say; 1 or more */
unsigned int ksft_slowness(void);
void ksft_print(const char *fmt, ...) __printf(1, 2);
void __noreturn ksft_fail(const char *file, int line, const char *fmt, ...)
	__printf(3, 4);
void __noreturn ksft_skip(const char *fmt, ...) __printf(1, 2);

/*
 * Options: -d DEVICE, -t SUBSTRING (only the cases whose name has it), -l
 * (list). Returns the program's exit status.
 */
int ksft_run(int argc, char **argv, const struct ksft_case *cases, size_t n);

#define KSFT_MAIN(...)							\
	static const struct ksft_case ksft_cases[] = { __VA_ARGS__ };	\
	int main(int argc, char **argv)					\
	{								\
		return ksft_run(argc, argv, ksft_cases,			\
				ARRAY_SIZE(ksft_cases));		\
	}

#define FAIL(...)	ksft_fail(__FILE__, __LINE__, __VA_ARGS__)

#define CHECK(cond)							\
	do {								\
		if (!(cond))						\
			FAIL("false: %s", #cond);			\
	} while (0)

#define CHECK_MSG(cond, ...)						\
	do {								\
		if (!(cond))						\
			FAIL(__VA_ARGS__);				\
	} while (0)

#define CHECK_EQ(a, b)							\
	do {								\
		u64 _a = (u64)(a), _b = (u64)(b);			\
		if (_a != _b)						\
			FAIL("%s is 0x%llx, expected %s (0x%llx)", #a,	\
			     (unsigned long long)_a, #b,		\
			     (unsigned long long)_b);			\
	} while (0)

/* an ioctl or system call that must fail with ERR */
#define CHECK_ERRNO(call, err)						\
	do {								\
		long _r;						\
		errno = 0;						\
		_r = (long)(call);					\
		if (_r != -1 || errno != (err))				\
			FAIL("%s: got %ld, errno %d (%s), expected %s",	\
			     #call, _r, errno, strerror(errno), #err);	\
	} while (0)

/* an ioctl or system call that must not fail; the value is its result */
#define CHECK_OK(call)							\
	({								\
		long _r = (long)(call);					\
		if (_r < 0)						\
			FAIL("%s: %s", #call, strerror(errno));		\
		_r;							\
	})

#define REQUIRE(cond, ...)						\
	do {								\
		if (!(cond))						\
			ksft_skip(__VA_ARGS__);				\
	} while (0)

#endif /* _KSFT_H */
