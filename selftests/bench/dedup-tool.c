// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench/dedup-tool: what bench/dedup needs beside a shell in the emulated host.
 *
 * usage: dedup-tool wait SECONDS FILE TEXT
 *		until a line of FILE begins with TEXT; status 1 when time is up or a guest is wrong
 *	  dedup-tool ksm PASSES
 *		so many full passes of the host's KSM, exactly; prints the ticks of ksmd for each
 *	  dedup-tool join DOMAIN PID...
 *		these VMMs' VMs go into the domain; 0: each into its own
 *	  dedup-tool algorithm DOMAIN NAME
 *		the domain's algorithm; its thread does not scan by itself, its counters start at 0
 *	  dedup-tool scan DOMAIN PASSES
 *		so many passes of emys; prints the ticks of each and the domain's counters
 *	  dedup-tool cloned PID PID
 *		tell emys that the second VM is a copy of the first; prints ticks and pages merged
 *	  dedup-tool alike DOMAIN MIB PID...
 *		of the pages of the domain's objects, or of the processes' anonymous memory of
 *		that size when it is 0: how many have a partner, and how many of these have been
 *		found, that is, share a frame with another or were dropped as zeros
 *	  dedup-tool object PID
 *		the id of its memory object; its VM is in a domain of its own
 *	  dedup-tool clone PID MIB OBJECT N
 *		a VM with a copy of the memory of the VMM PID, of OBJECT, 0: anonymous memory; says
 *		"@ready clone", writes to a part of it with every line "go" ("@done N + 1", and so
 *		on), ends with another line
 *	  dedup-tool vm KIND SEED MIB DEVICE FILE...
 *		a VM whose memory has pages like those of a guest of that KIND (files, pages, storm,
 *		idle), without a guest; some are pages of the files. Spoken to like a clone
 */
#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "nl.h"

#define PAGE	4096ul
#define KSM	"/sys/kernel/mm/ksm/"
#define VMS	"/sys/kernel/debug/emys/vms"
#define OBJECTS	"/sys/kernel/debug/emys/objects"
/* a clone writes to every so many of its pages in a round */
#define STRIDE	37

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "dedup-tool: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(1);
}

static unsigned long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void nap_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

static uint64_t tsc(void)
{
	uint32_t lo, hi;

	asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

/* Ticks of the TSC in a second of the kernel's clock, by which it accounts processor time. */
static double tsc_hz(void)
{
	unsigned long long ns = now_ns();
	uint64_t t = tsc();

	nap_ms(200);
	ns = now_ns() - ns;
	return (tsc() - t) * 1e9 / ns;
}

static int wait_for(char **argv)
{
	unsigned long long end = now_ns() + atof(argv[0]) * 1e9;
	static char line[65536];
	bool found = false;
	FILE *f;

	do {
		f = fopen(argv[1], "r");
		while (f && fgets(line, sizeof(line), f)) {
			line[strcspn(line, "\r\n")] = 0;
			if (!strncmp(line, "@wrong", 6))
				die("%s: %s", argv[1], line);
			found |= !strcmp(line, argv[2]);
		}
		if (f)
			fclose(f);
		if (found)
			return 0;
		nap_ms(20);
	} while (now_ns() < end);
	die("%s: no '%s' in time", argv[1], argv[2]);
}

/* -- KSM --------------------------------------------------------------------- */

static unsigned long long ksm_get(const char *name)
{
	unsigned long long v;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), KSM "%s", name);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%llu", &v) != 1)
		die("%s: %s", path, strerror(errno));
	fclose(f);
	return v;
}

static void ksm_set(const char *name, unsigned long long v)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), KSM "%s", name);
	f = fopen(path, "w");
	if (!f || fprintf(f, "%llu", v) < 0 || fclose(f))
		die("%s: %s", path, strerror(errno));
}

/* Copies of merged pages that writes have made, of all processes. */
static unsigned long long ksm_copied(void)
{
	FILE *f = fopen("/proc/vmstat", "r");
	unsigned long long v;
	char name[64];

	while (f && fscanf(f, "%63s %llu", name, &v) == 2)
		if (!strcmp(name, "cow_ksm")) {
			fclose(f);
			return v;
		}
	die("/proc/vmstat: no cow_ksm");
}

static int find_ksmd(void)
{
	DIR *proc = opendir("/proc");
	char path[300], name[32];
	struct dirent *d;
	int pid = 0;
	FILE *f;

	while (proc && !pid && (d = readdir(proc))) {
		if (!isdigit(d->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fgets(name, sizeof(name), f) && !strcmp(name, "ksmd\n"))
			pid = atoi(d->d_name);
		fclose(f);
	}
	if (!pid)
		die("no ksmd");
	closedir(proc);
	return pid;
}

static unsigned long long ran_ns(int pid)
{
	unsigned long long ns;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%llu", &ns) != 1)
		die("%s: %s", path, strerror(errno));
	fclose(f);
	return ns;
}

/*
 * A batch ends with a pass, however large it may be, and ksmd then sleeps; another time to sleep
 * wakes it. So each batch is one pass, from its first page to its last.
 */
static int ksm(char **argv)
{
	int passes = atoi(argv[0]), pid = find_ksmd();
	unsigned long long was, ns, sleep_ms = ksm_get("sleep_millisecs") | 1 << 21;
	double hz = tsc_hz();

	ksm_set("pages_to_scan", 1u << 30);
	for (int i = 0; i < passes; i++) {
		was = ksm_get("full_scans");
		ns = ran_ns(pid);
		sleep_ms ^= 1;
		ksm_set("sleep_millisecs", sleep_ms);
		ksm_set("run", 1);
		do {
			nap_ms(50);
		} while (ksm_get("full_scans") == was);
		nap_ms(5);
		if (ksm_get("full_scans") != was + 1)
			die("more than one pass");
		printf("@pass ticks=%.0f copied=%llu shared=%llu sharing=%llu unshared=%llu volatile=%llu\n",
		       (ran_ns(pid) - ns) * hz / 1e9, ksm_copied(), ksm_get("pages_shared"),
		       ksm_get("pages_sharing"), ksm_get("pages_unshared"),
		       ksm_get("pages_volatile"));
		fflush(stdout);
	}
	return 0;
}

/* -- emys -------------------------------------------------------------------- */

static const char * const stats[EMYS_A_DEDUP_STATS_MAX + 1] = {
	[EMYS_A_DEDUP_STATS_SCANNED] = "scanned",
	[EMYS_A_DEDUP_STATS_SKIPPED] = "skipped",
	[EMYS_A_DEDUP_STATS_VOLATILE] = "volatile",
	[EMYS_A_DEDUP_STATS_COMPARED] = "compared",
	[EMYS_A_DEDUP_STATS_FUTILE] = "futile",
	[EMYS_A_DEDUP_STATS_HASH_STEPS] = "hash-steps",
	[EMYS_A_DEDUP_STATS_MERGED] = "merged",
	[EMYS_A_DEDUP_STATS_ZEROED] = "zeroed",
	[EMYS_A_DEDUP_STATS_REFUSED] = "refused",
	[EMYS_A_DEDUP_STATS_RACED] = "raced",
	[EMYS_A_DEDUP_STATS_BYTES] = "bytes",
	[EMYS_A_DEDUP_STATS_TICKS] = "engine-ticks",
	[EMYS_A_DEDUP_STATS_STABLE] = "stable",
	[EMYS_A_DEDUP_STATS_SHARING] = "sharing",
	[EMYS_A_DEDUP_STATS_UNSTABLE] = "unstable",
	[EMYS_A_DEDUP_STATS_RECLASSIFIED] = "reclassified",
	[EMYS_A_DEDUP_STATS_CLASS_MIN] = "class-min",
	[EMYS_A_DEDUP_STATS_CLASS_MAX] = "class-max",
};

static const char * const algorithms[] = {
	"emys", "ksm", "cmd-address", "cmd-count", "cmd-subpage"
};

static void must(struct nl *nl, int rc, const char *what)
{
	if (rc)
		die("%s: %s %s", what, strerror(-rc), nl->text);
}

static uint32_t vm_of(struct nl *nl, int pid)
{
	static struct nl_vm vms[64];
	int n = nl_vms(nl, vms, 64);

	for (int i = 0; i < n && i < 64; i++)
		if (vms[i].a[EMYS_A_VM_PID] == (uint64_t)pid)
			return vms[i].a[EMYS_A_VM_ID];
	die("process %d has no VM", pid);
}

static int join(char **argv)
{
	uint32_t domain = strtoul(*argv, NULL, 0);
	struct nl *nl = nl_open();

	while (*++argv)
		must(nl, nl_vm_domain(nl, vm_of(nl, atoi(*argv)), domain), "domain");
	return 0;
}

static int algorithm(char **argv)
{
	uint32_t domain = strtoul(argv[0], NULL, 0), i = 0;
	struct nl *nl = nl_open();

	while (strcmp(algorithms[i], argv[1]))
		if (++i == sizeof(algorithms) / sizeof(*algorithms))
			die("no algorithm %s", argv[1]);
	must(nl, nl_domain_policy(nl, domain, EMYS_A_DEDUP_POLICY_RUN, 0), "run");
	must(nl, nl_domain_policy(nl, domain, EMYS_A_DEDUP_POLICY_ALGORITHM, i), "algorithm");
	must(nl, nl_domain_reset(nl, domain), "reset");
	return 0;
}

/* This process's own time, by the clock that ksmd's is accounted with. */
static uint64_t my_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static int scan(char **argv)
{
	uint32_t domain = strtoul(argv[0], NULL, 0);
	struct nl *nl = nl_open();
	static struct nl_domain d;
	double hz = tsc_hz();
	uint64_t ns;

	for (int i = atoi(argv[1]); i; i--) {
		ns = my_ns();
		must(nl, nl_scan(nl, domain, 1), "scan");
		ns = my_ns() - ns;
		must(nl, nl_domain_get(nl, domain, &d), "domain");
		printf("@pass ticks=%.0f zero=%llu copied=%llu resident=%llu", ns * hz / 1e9,
		       (unsigned long long)d.counts[EMYS_A_COUNTS_ZERO],
		       (unsigned long long)d.counts[EMYS_A_COUNTS_COPIED],
		       (unsigned long long)d.counts[EMYS_A_COUNTS_RESIDENT]);
		for (int k = 0; k <= EMYS_A_DEDUP_STATS_MAX; k++)
			if (stats[k])
				printf(" %s=%llu", stats[k], (unsigned long long)d.stats[k]);
		printf("\n");
		fflush(stdout);
	}
	return 0;
}

static int cloned(char **argv)
{
	struct nl *nl = nl_open();
	uint32_t from = vm_of(nl, atoi(argv[0])), to = vm_of(nl, atoi(argv[1]));
	double hz = tsc_hz();
	u64 merged;
	uint64_t ns = my_ns();

	must(nl, nl_clone_vm(nl, from, to, &merged), "clone");
	ns = my_ns() - ns;
	printf("@cloned ticks=%.0f merged=%llu\n", ns * hz / 1e9, (unsigned long long)merged);
	return 0;
}

/* -- a clone -------------------------------------------------------------------- */

/* The mapping of a VMM that has just the size of the guest's memory. */
static uint64_t find_memory(int pid, uint64_t size, bool emys)
{
	char path[64], line[512];
	uint64_t from, to;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && to - from == size &&
		    !!strstr(line, "emys-mem") == emys && strstr(line, " rw")) {
			fclose(f);
			return from;
		}
	die("%s: no guest memory", path);
}

/* The VM's id, by its creator. */
static unsigned int debugfs_vm(int pid)
{
	FILE *f = fopen(VMS, "r");
	unsigned int id;
	char line[512];
	int owner;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "vm %u: owner %d", &id, &owner) == 2 && owner == pid) {
			fclose(f);
			return id;
		}
	die(VMS ": no VM of %d", pid);
}

static int object(char **argv)
{
	unsigned int vm = debugfs_vm(atoi(argv[0])), id, domain;
	FILE *f = fopen(OBJECTS, "r");
	char line[1024];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "object %u domain %u", &id, &domain) == 2 &&
		    domain == (1u << 31 | vm)) {
			printf("%u\n", id);
			return 0;
		}
	die(OBJECTS ": no object of VM %u", vm);
}

/* Which pages of owned memory there are. */
static void present_emys(unsigned int object, uint64_t pages, uint8_t *present)
{
	FILE *f = fopen(OBJECTS, "r");
	unsigned long index, count;
	unsigned int id;
	char line[1024];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "pages %u %lu %lu", &id, &index, &count) == 3 && id == object &&
		    index + count <= pages)
			memset(present + index, 1, count);
	if (!f)
		die(OBJECTS ": %s", strerror(errno));
	fclose(f);
}

/* Which pages of anonymous memory there are. */
static void present_anon(int pid, uint64_t at, uint64_t pages, uint8_t *present)
{
	uint64_t entry[512];
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY);
	for (uint64_t i = 0; i < pages; i += 512) {
		if (pread(fd, entry, sizeof(entry), (at / PAGE + i) * 8) != sizeof(entry))
			die("%s: %s", path, strerror(errno));
		for (uint64_t k = 0; k < 512; k++)
			present[i + k] = entry[k] >> 63;
	}
	close(fd);
}

static void copy(int pid, uint64_t at, uint64_t pages, const uint8_t *present, uint8_t *to)
{
	uint64_t i, n;

	for (i = 0; i < pages; i += n) {
		for (n = 1; i + n < pages && n < 512 && present[i + n] == present[i]; n++)
			;
		struct iovec local = { to + i * PAGE, n * PAGE };
		struct iovec remote = { (void *)(at + i * PAGE), n * PAGE };

		if (present[i] &&
		    process_vm_readv(pid, &local, 1, &remote, 1, 0) != (ssize_t)(n * PAGE))
			die("page %lu: %s", i, strerror(errno));
	}
}

static void *clone_memory(uint64_t size, bool emys)
{
	int fd = emys ? open("/dev/emys-mem", O_RDWR | O_CLOEXEC) : -1;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       emys ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, fd, 0);

	if (p == MAP_FAILED || (!emys && madvise(p, size, MADV_MERGEABLE)))
		die("memory: %s", strerror(errno));
	return p;
}

static void clone_vm(const char *device, void *memory, uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.memory_size = size, .userspace_addr = (uintptr_t)memory,
	};
	int dev = open(device, O_RDWR | O_CLOEXEC), vm;

	vm = dev < 0 ? -1 : ioctl(dev, KVM_CREATE_VM, 0);
	if (vm < 0 || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
		die("%s: %s", device, strerror(errno));
}

static int clone_of(char **argv)
{
	uint64_t size = strtoull(argv[1], NULL, 0) << 20, pages = size / PAGE, at, i;
	unsigned int object = strtoul(argv[2], NULL, 0);
	bool emys = object;
	uint8_t *present = calloc(pages, 1), *memory;
	int pid = atoi(argv[0]);
	unsigned int before = atoi(argv[3]), nr = 0;
	char line[64];

	at = find_memory(pid, size, emys);
	if (!present)
		die("no memory");
	if (emys)
		present_emys(object, pages, present);
	else
		present_anon(pid, at, pages, present);
	memory = clone_memory(size, emys);
	copy(pid, at, pages, present, memory);
	clone_vm(emys ? "/dev/emys" : "/dev/kvm", memory, size);
	printf("@ready clone\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) && !strncmp(line, "go", 2)) {
		nr++;
		for (i = nr % STRIDE; i < pages; i += STRIDE)
			if (present[i])
				*(volatile uint64_t *)(memory + i * PAGE) = nr;
		printf("@done %u\n", before + nr);
		fflush(stdout);
	}
	return 0;
}

/* -- what there is to find ------------------------------------------------------- */

/*
 * The pages' frames are read through /proc/kcore, which maps nothing and takes no reference; a
 * frame that several pages share once. Two unlike pages of one 64-bit hash would count as alike.
 */
struct frame {
	uint64_t pfn, users, hash;
};

static struct frames {
	struct frame *at;
	size_t nr, room;
	uint64_t pages;
} frames;

#define NO_FRAME	(~0ull)		/* of zeros, wherever */

static void add_page(uint64_t pfn)
{
	if (frames.nr == frames.room) {
		frames.room = frames.room ? 2 * frames.room : 65536;
		frames.at = realloc(frames.at, frames.room * sizeof(*frames.at));
		if (!frames.at)
			die("no memory");
	}
	frames.at[frames.nr++] = (struct frame){ .pfn = pfn, .users = 1 };
	frames.pages++;
}

static void frames_emys(unsigned int domain)
{
	unsigned long index, count, frame;
	unsigned int id, of, in = 0;
	char line[1024], state[16];
	FILE *f = fopen(OBJECTS, "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "object %u domain %u", &id, &of) == 2) {
			in = of == domain ? id : 0;
		} else if (sscanf(line, "pages %u %lu %lu %15s %lu", &id, &index, &count, state,
				  &frame) == 5 && id == in) {
			if (strcmp(state, "ballooned"))
				for (unsigned long i = 0; i < count; i++)
					add_page(strcmp(state, "zero") ? frame + i : NO_FRAME);
		}
	}
	if (!f)
		die(OBJECTS ": %s", strerror(errno));
	fclose(f);
}

static void frames_anon(int pid, uint64_t size)
{
	uint64_t at = find_memory(pid, size, false), entry[512];
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY);
	for (uint64_t i = 0; i < size / PAGE; i += 512) {
		if (pread(fd, entry, sizeof(entry), (at / PAGE + i) * 8) != sizeof(entry))
			die("%s: %s", path, strerror(errno));
		for (uint64_t k = 0; k < 512; k++)
			if (entry[k] >> 63)
				add_page(entry[k] & ((1ull << 55) - 1));
	}
	close(fd);
}

static int by_pfn(const void *a, const void *b)
{
	const struct frame *x = a, *y = b;

	return x->pfn < y->pfn ? -1 : x->pfn > y->pfn;
}

static int by_hash(const void *a, const void *b)
{
	const struct frame *x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* One entry for all pages of a frame, or of a hash. */
static void frames_join(int (*order)(const void *a, const void *b))
{
	size_t to = 0;

	qsort(frames.at, frames.nr, sizeof(*frames.at), order);
	for (size_t i = 1; i < frames.nr; i++) {
		if (order(&frames.at[to], &frames.at[i]))
			frames.at[++to] = frames.at[i];
		else
			frames.at[to].users += frames.at[i].users;
	}
	frames.nr = frames.nr ? to + 1 : 0;
}

static uint64_t hash_page(const uint64_t *words)
{
	uint64_t hash = 0;

	for (unsigned int i = 0; i < PAGE / 8; i++) {
		hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 32;
	}
	return hash;
}

static void frames_hash(void)
{
	static Elf64_Phdr segments[64];
	static uint64_t words[PAGE / 8];
	int fd = open("/proc/kcore", O_RDONLY), n = -1;
	uint64_t at, offset;
	Elf64_Ehdr head;

	if (fd >= 0 && pread(fd, &head, sizeof(head), 0) == sizeof(head) && head.e_phnum <= 64)
		n = pread(fd, segments, head.e_phnum * sizeof(*segments), head.e_phoff) /
		    (ssize_t)sizeof(*segments);
	for (size_t i = 0; i < frames.nr; i++) {
		struct frame *f = &frames.at[i];

		memset(words, 0, PAGE);
		at = f->pfn * PAGE;
		offset = 0;
		for (int s = 0; s < n; s++)
			if (segments[s].p_type == PT_LOAD && at >= segments[s].p_paddr &&
			    at - segments[s].p_paddr + PAGE <= segments[s].p_filesz)
				offset = segments[s].p_offset + at - segments[s].p_paddr;
		if (f->pfn != NO_FRAME && (!offset || pread(fd, words, PAGE, offset) != PAGE))
			die("/proc/kcore: frame %lx cannot be read", f->pfn);
		f->hash = hash_page(words);
	}
	close(fd);
}

static int alike(char **argv)
{
	unsigned int domain = strtoul(argv[0], NULL, 0);
	uint64_t size = strtoull(argv[1], NULL, 0) << 20, n = 0, found = 0;

	if (domain)
		frames_emys(domain);
	for (argv += 2; !domain && *argv; argv++)
		frames_anon(atoi(*argv), size);
	frames_join(by_pfn);
	for (size_t i = 0; i < frames.nr; i++)
		if (frames.at[i].users > 1 || frames.at[i].pfn == NO_FRAME)
			found += frames.at[i].users;
	frames_hash();
	frames_join(by_hash);
	for (size_t i = 0; i < frames.nr; i++)
		if (frames.at[i].users > 1)
			n += frames.at[i].users;
	printf("@alike pages=%lu alike=%lu found=%lu\n", frames.pages, n, found);
	return 0;
}

/* -- memory without a guest ------------------------------------------------------ */

/*
 * The class of a page, by its number modulo 16:
 *  F	a page of the files, the same in every VM
 *  C	the same in every VM
 *  T	twice in this VM
 *  Z	zero
 *  O	of its own
 *  P	of its own, one KiB is new in every round
 *  W	of its own, new in every round
 *  R	of its own after odd rounds, the same in every VM after even ones
 */
static const struct kind {
	const char *name;
	char classes[17];
} kinds[] = {
	{ "files", "FFFFFFFFTTOOOPPW" },
	{ "pages", "CCCTZOPWCCCTZOPW" },
	{ "storm", "FFFFZZOOWWWWRRRR" },
	{ "idle", "FFFFFFFFZZZZOOOO" },
};

struct image {
	const struct kind *kind;
	uint64_t seed, pages, from_files;
	char *files;
};

/* Lines, as memory often holds: unlike pages begin alike. */
#define LINE	64

static void text(char *to, unsigned long size, uint64_t who, uint64_t page, unsigned int version)
{
	char line[2 * LINE];

	snprintf(line, sizeof(line), "line 00 of page %8lu of guest %7lu, version %12u\n", page,
		 who, version);
	for (unsigned long i = 0; i < size / LINE; i++, to += LINE) {
		line[5] = '0' + i / 10;
		line[6] = '0' + i % 10;
		memcpy(to, line, LINE);
	}
}

static char class_of(const struct image *image, uint64_t page)
{
	return image->kind->classes[page % 16];
}

/* What the page holds after round @nr. */
static void make_page(const struct image *image, uint64_t page, unsigned int nr, char *to)
{
	uint64_t kib = page / 16 % 4;

	switch (class_of(image, page)) {
	case 'F':
		memcpy(to, image->files + page % image->from_files * PAGE, PAGE);
		return;
	case 'C':
		return text(to, PAGE, 0, page, 0);
	case 'T':
		return text(to, PAGE, image->seed, page / 32, 0);
	case 'Z':
		memset(to, 0, PAGE);
		return;
	case 'P':
		text(to, kib * 1024, image->seed, page, 0);
		text(to + kib * 1024, 1024, image->seed, page, nr);
		return text(to + (kib + 1) * 1024, (3 - kib) * 1024, image->seed, page, 1);
	case 'W':
		return text(to, PAGE, image->seed, page, nr);
	case 'R':
		return text(to, PAGE, nr % 2 ? image->seed : 0, page, 0);
	default:
		return text(to, PAGE, image->seed, page, 0);
	}
}

static void read_files(struct image *image, char **names)
{
	unsigned long room = 64ul << 20, at = 0;
	ssize_t n;
	int fd;

	image->files = malloc(room);
	for (; image->files && *names; names++) {
		fd = open(*names, O_RDONLY);
		if (fd < 0)
			die("%s: %s", *names, strerror(errno));
		while ((n = read(fd, image->files + at, room - at)) > 0)
			at += n;
		close(fd);
	}
	image->from_files = at / PAGE;
	if (!image->from_files)
		die("no files to fill pages with");
}

static void check(const struct image *image, const char *memory, unsigned int nr)
{
	char want[PAGE];

	for (uint64_t i = 0; i < image->pages; i++) {
		make_page(image, i, nr, want);
		if (memcmp(memory + i * PAGE, want, PAGE)) {
			printf("@wrong round %u page %lu\n", nr, i);
			exit(1);
		}
	}
}

static int vm(char **argv)
{
	bool emys = !strcmp(argv[3], "/dev/emys");
	const struct kind *kind = kinds;
	struct image image = { 0 };
	unsigned int nr = 0;
	char line[64], *memory;

	while (strcmp(kind->name, argv[0]))
		if (++kind == kinds + sizeof(kinds) / sizeof(*kinds))
			die("no kind %s", argv[0]);
	image.kind = kind;
	image.seed = strtoull(argv[1], NULL, 0);
	image.pages = (strtoull(argv[2], NULL, 0) << 20) / PAGE;
	read_files(&image, argv + 4);
	memory = clone_memory(image.pages * PAGE, emys);
	for (uint64_t i = 0; i < image.pages; i++)
		make_page(&image, i, nr, memory + i * PAGE);
	clone_vm(argv[3], memory, image.pages * PAGE);
	printf("@ready %s\n", kind->name);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) && !strncmp(line, "go", 2)) {
		nr++;
		for (uint64_t i = 0; i < image.pages; i++)
			if (strchr("PWR", class_of(&image, i)))
				make_page(&image, i, nr, memory + i * PAGE);
		printf("@done %u\n", nr);
		fflush(stdout);
	}
	check(&image, memory, nr);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*run)(char **argv);
	} commands[] = {
		{ "wait", 3, wait_for }, { "ksm", 1, ksm }, { "join", 2, join },
		{ "algorithm", 2, algorithm }, { "scan", 2, scan }, { "cloned", 2, cloned },
		{ "alike", 2, alike }, { "object", 1, object }, { "clone", 4, clone_of }, { "vm", 5, vm },
	};

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (argc >= commands[i].args + 2 && !strcmp(argv[1], commands[i].name))
			return commands[i].run(argv + 2);
	die("%s: see the head of dedup-tool.c", argc > 1 ? argv[1] : "no command");
}
