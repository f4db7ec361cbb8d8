// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hand the emulated host over to a second kernel (kexec), or have one ready for a panic.
 *
 * The kernel comes as the bytes it is in memory (boot/flatten.py), so nothing is unpacked and
 * every CPU is asked for: the second kernel starts all of them by INIT and SIPI.
 *
 * usage: again DIR		DIR holds flat, place, setup, initrd; does not return when it works
 *        again --panic DIR	only loads it, into the memory of crashkernel=
 */
#define _GNU_SOURCE
#include <asm/bootparam.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEMMAP		"/sys/firmware/memmap"
#define PAGE		4096ul
#define LARGE		(2ul << 20)
#define LOW_END		0xa0000ul
#define CMDLINE_MAX	2048

enum { RAM = 1, RESERVED = 2, ACPI_TABLES = 3 };	/* of boot_e820_entry */

/* What lies beside the kernel: one piece of memory, its own addresses in it. */
struct block {
	struct boot_params params;
	char cmdline[CMDLINE_MAX];
	unsigned char enter[64];
};

struct range {
	unsigned long start, end;	/* the byte after */
	int type;
};

static const char *dir;

static void die(const char *what)
{
	fprintf(stderr, "again: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned long up(unsigned long n, unsigned long to)
{
	return (n + to - 1) & -to;
}

/* a file of DIR; @size in bytes */
static void *map(const char *name, size_t *size)
{
	char path[256];
	struct stat st;
	void *at;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	if (fd < 0 || fstat(fd, &st))
		die(path);
	at = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		die(path);
	close(fd);
	*size = st.st_size;
	return at;
}

static int read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return -1;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

/* Entry @i of the map that the firmware gave this kernel; -1 behind the last. */
static int firmware_range(int i, struct range *range)
{
	static const char * const field[] = { "start", "end", "type" };
	char path[64], text[3][64];
	int n;

	for (n = 0; n < 3; n++) {
		snprintf(path, sizeof(path), MEMMAP "/%d/%s", i, field[n]);
		if (read_text(path, text[n], sizeof(text[n])))
			return -1;
	}
	range->start = strtoul(text[0], NULL, 0);
	range->end = strtoul(text[1], NULL, 0) + 1;
	range->type = !strcmp(text[2], "System RAM") ? RAM :
		      strstr(text[2], "ACPI Tables") ? ACPI_TABLES : RESERVED;
	return 0;
}

/* where crashkernel= is */
static struct range crash_range(void)
{
	struct range range = { .type = RAM };
	char line[256];
	FILE *f = fopen("/proc/iomem", "r");

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "Crash kernel") &&
		    sscanf(line, "%lx-%lx", &range.start, &range.end) == 2) {
			range.end++;
			fclose(f);
			return range;
		}
	errno = ENOMEM;
	die("no crashkernel= memory");
	return range;
}

static void add_range(struct boot_params *params, struct range range)
{
	struct boot_e820_entry *e = &params->e820_table[params->e820_entries++];

	e->addr = range.start;
	e->size = range.end - range.start;
	e->type = range.type;
}

/* After a panic only its own memory, and the first 640K, where CPUs start, is the new kernel's. */
static void memory_map(struct boot_params *params, const struct range *crash)
{
	struct range range;
	int i;

	for (i = 0; !firmware_range(i, &range); i++)
		if (!crash || range.type != RAM || range.end <= LOW_END)
			add_range(params, range);
	if (!i)
		die(MEMMAP);
	if (crash)
		add_range(params, *crash);
}

/* mov $boot_params, %rsi; mov $entry, %rax; jmp *%rax */
static void enter_code(unsigned char *code, unsigned long params, unsigned long entry)
{
	memcpy(code, "\x48\xbe", 2);
	memcpy(code + 2, &params, 8);
	memcpy(code + 10, "\x48\xb8", 2);
	memcpy(code + 12, &entry, 8);
	memcpy(code + 20, "\xff\xe0", 2);
}

static struct kexec_segment segment(const void *data, size_t size, unsigned long at, size_t memory)
{
	struct kexec_segment s = { .buf = data, .bufsz = size, .mem = (void *)at,
				   .memsz = up(memory, PAGE) };

	return s;
}

int main(int argc, char **argv)
{
	size_t flat_size, initrd_size, setup_size, place_size, memory;
	unsigned long base, entry, end, kernel_at, block_at, initrd_at;
	int panic = argc == 3 && !strcmp(argv[1], "--panic");
	struct range crash = { 0 };
	struct kexec_segment segments[3];
	const char *place;
	const void *flat, *initrd, *setup;
	struct block *block;

	if (argc != 2 + panic) {
		fprintf(stderr, "usage: again [--panic] DIR\n");
		return 2;
	}
	dir = argv[1 + panic];
	flat = map("flat", &flat_size);
	initrd = map("initrd", &initrd_size);
	setup = map("setup", &setup_size);
	place = map("place", &place_size);
	if (sscanf(place, "%lx %lx %lx", &base, &entry, &end) != 3)
		die("place");
	memory = end - base;

	if (panic)
		crash = crash_range();
	kernel_at = panic ? up(crash.start, LARGE) : base;
	block_at = up(kernel_at + memory, LARGE);
	initrd_at = block_at + LARGE;
	block = calloc(1, sizeof(*block));
	if (!block)
		die("memory");
	memcpy((char *)block + 0x1f1, setup, setup_size);
	block->params.hdr.type_of_loader = 0xff;
	block->params.hdr.loadflags |= LOADED_HIGH;
	block->params.hdr.ramdisk_image = initrd_at;
	block->params.hdr.ramdisk_size = initrd_size;
	block->params.hdr.cmd_line_ptr = block_at + offsetof(struct block, cmdline);
	if (read_text("/proc/cmdline", block->cmdline, sizeof(block->cmdline)))
		die("/proc/cmdline");
	memory_map(&block->params, panic ? &crash : NULL);
	enter_code(block->enter, block_at, entry - base + kernel_at);

	segments[0] = segment(flat, flat_size, kernel_at, memory);
	segments[1] = segment(block, sizeof(*block), block_at, sizeof(*block));
	segments[2] = segment(initrd, initrd_size, initrd_at, initrd_size);
	if (syscall(SYS_kexec_load, block_at + offsetof(struct block, enter), 3, segments,
		    KEXEC_ARCH_DEFAULT | (panic ? KEXEC_ON_CRASH : 0)))
		die("kexec_load");
	if (panic)
		return 0;
	reboot(LINUX_REBOOT_CMD_KEXEC);
	die("reboot");
}
