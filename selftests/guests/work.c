// SPDX-License-Identifier: GPL-2.0-only
/*
 * guests/work: work for a Debian guest, which checks every byte it keeps.
 *
 * usage: work files|pages|storm|idle SEED MIB [busy] [forever]
 *
 * It prepares, says "@ready", and with every line "go" on standard input does one round and says
 * "@done N"; "forever" needs no lines. Another line, or the end of input, ends it: "@end N", status 0.
 * A byte that is not what was written is "@wrong TEXT", status 1; before its end it checks all once
 * more. What a round does depends on the seed and the round's number only.
 *
 *  files	a page cache: copies of a program, which guests have in common, and text of its own;
 *		a round reads and sums all and writes some anew
 *  pages	anonymous memory by classes of pages: the same in every guest, zero, its own, changed
 *		in one KiB, changed in all; "busy" changes pages that are zero or alike too
 *  storm	processes: a round starts many, each fills memory and looks at it again
 *  idle	nothing at all
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE	4096ul
#define WORDS	(PAGE / 8)
#define FILES	128
#define DIRECTORY "/tmp/work"
#define PROGRAM	"/bin/busybox"

struct work {
	const char *name;
	void (*prepare)(void);
	void (*round)(unsigned int nr);
	void (*check)(unsigned int nr);	/* all that is kept after that round, or NULL */
};

static uint64_t seed;
static int busy;
static unsigned long size;		/* bytes */
static const char *self;

static void __attribute__((noreturn, format(printf, 1, 2))) wrong(const char *format, ...)
{
	va_list args;

	printf("@wrong ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	exit(1);
}

static uint64_t mix(uint64_t v)
{
	v ^= v >> 31;
	v *= 0x9e3779b97f4a7c15ull;
	v ^= v >> 29;
	return v;
}

/* -- pages ------------------------------------------------------------------ */

enum { COMMON, COMMON2, COMMON3, TWICE, ZERO, OWN, PART, WHOLE, CLASSES };

static uint64_t *memory;

/* What the KiB @sub of page @page holds after round @nr, as the start of a sequence; 0: zeros. */
static uint64_t page_key(unsigned long page, unsigned int sub, unsigned int nr)
{
	uint64_t at = page << 32 | sub << 28;

	switch (page % CLASSES) {
	case COMMON:
	case COMMON2:
		return mix(at) | 1;
	case COMMON3:
		return mix(at + (busy ? nr / 2 : 0)) | 1;
	case TWICE:
		return mix(((page / 2 / CLASSES) << 32 | sub << 28 | 1 << 27) + (busy ? nr : 0)) | 1;
	case ZERO:
		return busy && nr % 4 == 3 ? mix(at + nr) | 1 : 0;
	case OWN:
		return mix(at ^ seed << 48) | 1;
	case PART:
		return mix((at ^ seed << 48) + (sub == page / CLASSES % 4 ? nr : 0)) | 1;
	default:
		return mix((at ^ seed << 48) + nr) | 1;
	}
}

static void page_fill(unsigned long page, unsigned int sub, unsigned int nr)
{
	uint64_t *p = memory + page * WORDS + sub * WORDS / 4, key = page_key(page, sub, nr);
	unsigned int i;

	for (i = 0; i < WORDS / 4; i++, key += key ? 0x1000003 : 0)
		p[i] = key;
}

static void page_check(unsigned long page, unsigned int sub, unsigned int nr)
{
	uint64_t *p = memory + page * WORDS + sub * WORDS / 4, key = page_key(page, sub, nr);
	unsigned int i;

	for (i = 0; i < WORDS / 4; i++, key += key ? 0x1000003 : 0)
		if (p[i] != key)
			wrong("round %u page %lu word %u: %#llx, not %#llx", nr, page,
			      sub * (unsigned int)WORDS / 4 + i, (unsigned long long)p[i],
			      (unsigned long long)key);
}

static void pages_prepare(void)
{
	unsigned long page;
	unsigned int sub;

	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		wrong("mmap: %s", strerror(errno));
	for (page = 0; page < size / PAGE; page++)
		for (sub = 0; sub < 4; sub++)
			page_fill(page, sub, 0);
}

static void pages_round(unsigned int nr)
{
	unsigned long page;
	unsigned int sub;

	for (page = 0; page < size / PAGE; page++)
		for (sub = 0; sub < 4; sub++) {
			page_check(page, sub, nr - 1);
			if (page_key(page, sub, nr) != page_key(page, sub, nr - 1))
				page_fill(page, sub, nr);
		}
}

static void pages_verify(unsigned int nr)
{
	unsigned long page;
	unsigned int sub;

	for (page = 0; page < size / PAGE; page++)
		for (sub = 0; sub < 4; sub++)
			page_check(page, sub, nr);
}

/* -- files ------------------------------------------------------------------- */

static uint64_t sums[FILES], program_sum;
static unsigned int nr_files;

static const char *file_name(unsigned int i)
{
	static char name[64];

	snprintf(name, sizeof(name), DIRECTORY "/%u", i);
	return name;
}

/* The sum of one more piece of a file; @buf has room for a whole last word. */
static uint64_t sum_add(uint64_t sum, void *buf, ssize_t n)
{
	const uint64_t *words = buf;
	ssize_t k;

	memset((char *)buf + n, 0, -n & 7);
	for (k = 0; k < (n + 7) / 8; k++)
		sum = (sum ^ words[k]) * 0x100000001b3ull;
	return sum;
}

static uint64_t sum_of(const char *name)
{
	static uint64_t buf[8 * WORDS];
	uint64_t sum = 1;
	ssize_t n;
	int fd = open(name, O_RDONLY);

	if (fd < 0)
		wrong("%s: %s", name, strerror(errno));
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		sum = sum_add(sum, buf, n);
	close(fd);
	return sum;
}

/*
 * Every fourth file is the program that all guests have, the others are lines of this guest's. What
 * a file's sum must be is known from what is written, never from what is read back.
 */
static void file_write(unsigned int i, unsigned int nr)
{
	static uint64_t words[64 * WORDS];
	char *buf = (char *)words;
	int to = open(file_name(i), O_WRONLY | O_CREAT | O_TRUNC, 0600), from;
	size_t n = 0;
	ssize_t got;

	if (to < 0)
		wrong("%s: %s", file_name(i), strerror(errno));
	if (i % 4 == 0) {
		from = open(PROGRAM, O_RDONLY);
		while ((got = read(from, buf, sizeof(words))) > 0)
			if (write(to, buf, got) != got)
				wrong("%s: short write", file_name(i));
		close(from);
		sums[i] = program_sum;
	} else {
		for (unsigned int line = 0; n + 64 < sizeof(words); line++)
			n += snprintf(buf + n, 64, "guest %llu file %u version %u line %u\n",
				      (unsigned long long)seed, i, nr, line);
		if (write(to, buf, n) != (ssize_t)n)
			wrong("%s: short write", file_name(i));
		sums[i] = sum_add(1, buf, n);
	}
	close(to);
}

static void files_prepare(void)
{
	unsigned long bytes;
	unsigned int i;

	mkdir("/tmp", 0700);
	if (mkdir(DIRECTORY, 0700))
		wrong(DIRECTORY ": %s", strerror(errno));
	program_sum = sum_of(PROGRAM);
	/* A copy of the program is 2 MiB, a text 256 KiB. */
	for (i = 0, bytes = 0; i < FILES && bytes < size; i++) {
		file_write(i, 0);
		bytes += i % 4 ? 64 * PAGE : 2ul << 20;
	}
	nr_files = i;
}

static void files_check(unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr_files; i++)
		if (sum_of(file_name(i)) != sums[i])
			wrong("round %u: %s has changed", nr, file_name(i));
}

static void files_round(unsigned int nr)
{
	unsigned int i;

	files_check(nr);
	for (i = nr % 8; i < nr_files; i += 8)
		file_write(i, nr);
}

/* -- storm --------------------------------------------------------------------- */

static int child(uint64_t key)
{
	unsigned int n = 48 * WORDS, i, k;
	uint64_t *p = malloc(n * 8), v;

	if (!p)
		return 2;
	for (k = 0; k < 2; k++) {
		for (i = 0, v = key + k; i < n; i++, v += 0x10001)
			p[i] = v;
		for (i = 0, v = key + k; i < n; i++, v += 0x10001)
			if (p[i] != v)
				return 3;
	}
	return key % 200 + 20;
}

static void storm_round(unsigned int nr)
{
	unsigned int todo = size >> 19, started = 0, ended = 0;
	pid_t pids[4];
	int want[4], status;
	char key[24];

	while (ended < todo) {
		while (started < todo && started - ended < 4) {
			uint64_t v = mix(seed << 40 | nr << 16 | started) >> 8;

			snprintf(key, sizeof(key), "%llu", (unsigned long long)v);
			want[started % 4] = v % 200 + 20;
			pids[started % 4] = fork();
			if (!pids[started % 4]) {
				execl(self, self, "child", key, NULL);
				_exit(4);
			}
			started++;
		}
		if (waitpid(pids[ended % 4], &status, 0) < 0 || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != want[ended % 4])
			wrong("round %u: process %u ended with status %#x, not %d", nr, ended,
			      status, want[ended % 4]);
		ended++;
	}
}

static void nothing(void)
{
}

static void idle_round(unsigned int nr)
{
	(void)nr;
}

static const struct work works[] = {
	{ "files", files_prepare, files_round, files_check },
	{ "pages", pages_prepare, pages_round, pages_verify },
	{ "storm", nothing, storm_round, NULL },
	{ "idle", nothing, idle_round, NULL },
};

/* The next round shall be. With @forever, unless somebody has sent a line. */
static int wanted(int forever)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };
	char line[64];

	if (forever && poll(&p, 1, 0) <= 0)
		return 1;
	return fgets(line, sizeof(line), stdin) && !strncmp(line, "go", 2);
}

int main(int argc, char **argv)
{
	const struct work *work = works;
	unsigned int nr = 0;
	int forever;

	self = "/bin/work";
	if (argc == 3 && !strcmp(argv[1], "child"))
		return child(strtoull(argv[2], NULL, 0));
	if (argc < 4)
		return 2;
	while (strcmp(work->name, argv[1]))
		if (++work == works + sizeof(works) / sizeof(*works))
			return 2;
	seed = strtoull(argv[2], NULL, 0);
	size = strtoul(argv[3], NULL, 0) << 20;
	for (forever = 0; argc > 4; argc--) {
		busy |= !strcmp(argv[argc - 1], "busy");
		forever |= !strcmp(argv[argc - 1], "forever");
	}
	work->prepare();
	printf("@ready %s\n", work->name);
	fflush(stdout);
	while (wanted(forever)) {
		work->round(++nr);
		printf("@done %u\n", nr);
		fflush(stdout);
	}
	if (work->check)
		work->check(nr);
	printf("@end %u\n", nr);
	return 0;
}
