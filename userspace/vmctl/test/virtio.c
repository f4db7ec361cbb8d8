// SPDX-License-Identifier: GPL-2.0-only
/* Tests of PCI, virtio and the balloon: a driver that is good, and one that is not. */
#include "driver.h"
#include "pm.h"
#include "tap.h"

#define STATS		(1ULL << 1)
#define OOM		(1ULL << 2)
#define POISON		(1ULL << 4)
#define REPORTING	(1ULL << 5)
#define ALL		(STATS | OOM | POISON | REPORTING)
#define NEEDS_RESET	0x40

static unsigned int stopped;

static void stop(void *ctx, enum stop_reason reason, unsigned int code)
{
	(void)ctx;
	(void)code;
	stopped += reason == STOP_RESET;
}

static void test_mechanism(void)
{
	static const struct board pm_board = { .stop = stop };
	static struct pm pm;

	ok(!pm_init(&pm, &pio, &pm_board), "the reset register shares 0xcf8 to 0xcfb");
	/* What Linux does to find it. */
	out(0xcfb, 1, 1);
	out(0xcf8, 0x80000000, 4);
	ok(in(0xcf8, 4) == 0x80000000, "0xcf8 reads back");
	ok(cfg_in(0, 0x0a, 2) == 0x0600, "slot 0 is a host bridge");
	out(0xcf8, 0x80000804, 4);
	out(0xcf9, 6, 1);
	ok(stopped == 1 && in(0xcf8, 4) == 0x80000804,
	   "a byte at 0xcf9 is the reset register's");
	ok(cfg_in(2, 0, 4) == 0xffffffff, "an empty slot reads as ones");
	ok(cfg_in(31, 0, 4) == 0xffffffff, "so does one there cannot be");
	out(0xcf8, 0x80010800, 4);
	ok(in(0xcfc, 4) == 0xffffffff, "bus 1 too");
	out(0xcf8, 0x80000900, 4);
	ok(in(0xcfc, 4) == 0xffffffff, "and function 1");
	out(0xcf8, 0x00000800, 4);
	ok(in(0xcfc, 4) == 0xffffffff, "without the enable bit: nothing");
	ok(cfg_in(1, 0, 4) == 0x10451af4, "slot 1 is the balloon");
	cfg_out(1, 0, 0, 4);
	cfg_out(1, 8, 0, 4);
	ok(cfg_in(1, 0, 4) == 0x10451af4 && cfg_in(1, 8, 4) == 0xff000001,
	   "its identity cannot be written");
	ok(cfg_in(1, 1, 1) == 0x1a && cfg_in(1, 2, 2) == 0x1045, "bytes and words");
}

static void test_bars(void)
{
	uint32_t b0 = cfg_in(1, 0x10, 4), b1 = cfg_in(1, 0x14, 4);

	ok(b0 >= LAYOUT_PCI_MMIO && b1 >= b0 + 0x4000 && !(b0 & 0x3fff) && !(b1 & 0xfff),
	   "BARs have addresses: %#x, %#x", b0, b1);
	ok(mem_in(b0 + COMMON + 0x12, 2) == 0xffff, "no memory decoding: ones");
	cfg_out(1, 4, 6, 2);
	ok(cfg_in(1, 4, 2) == 6 && mem_in(b0 + COMMON + 0x12, 2) == 5,
	   "decoding on: five queues");
	cfg_out(1, 0x10, 0xffffffff, 4);
	ok(cfg_in(1, 0x10, 4) == 0xffffc000, "BAR 0 has 16 KiB");
	cfg_out(1, 0x14, 0xffffffff, 4);
	ok(cfg_in(1, 0x14, 4) == 0xfffff000, "BAR 1 has 4 KiB");
	cfg_out(1, 0x18, 0xffffffff, 4);
	ok(cfg_in(1, 0x18, 4) == 0, "there is no BAR 2");
	cfg_out(1, 0x10, 0xe8000000, 4);
	cfg_out(1, 0x14, b1, 4);
	ok(mem_in(0xe8000000 + COMMON + 0x12, 2) == 5 &&
	   mem_in(b0 + COMMON + 0x12, 2) == 0xffff, "BAR 0 moves");
	ok(mem_in(0xe8003ffc, 8) == ~0ULL, "an access across its end is nobody's");
	cfg_out(1, 0x10, b0, 4);
}

static unsigned int find_cap(uint8_t id, uint8_t type)
{
	unsigned int at = cfg_in(1, 0x34, 1), n = 0;

	for (; at >= 0x40 && n < 48; at = cfg_in(1, at + 1, 1), n++)
		if (cfg_in(1, at, 1) == id &&
		    (id != 9 || cfg_in(1, at + 3, 1) == type))
			return at;
	return 0;
}

static void test_caps(void)
{
	static const uint32_t where[] = { 0, COMMON, NOTIFY, ISR, CONFIG };
	unsigned int at, win;

	ok(cfg_in(1, 6, 2) & 0x10, "there is a capability list");
	for (unsigned int type = 1; type <= 4; type++) {
		at = find_cap(9, type);
		ok(at && cfg_in(1, at + 4, 1) == 0 &&
		   cfg_in(1, at + 8, 4) == where[type] && cfg_in(1, at + 12, 4),
		   "structure %u is in BAR 0 at %#x", type, where[type]);
	}
	at = find_cap(9, 2);
	ok(cfg_in(1, at + 16, 4) == 4, "notify multiplier");
	at = find_cap(0x11, 0);
	ok(at && (cfg_in(1, at + 2, 2) & 0x7ff) == 5, "MSI-X: six vectors");

	/* The window into BARs. */
	win = find_cap(9, 5);
	cfg_out(1, win + 4, 0, 1);
	cfg_out(1, win + 8, COMMON + 0x12, 4);
	cfg_out(1, win + 12, 2, 4);
	ok(win && (cfg_in(1, win + 16, 2)) == 5, "window: number of queues");
	cfg_out(1, win + 8, COMMON + 0x16, 4);
	cfg_out(1, win + 16, 3, 2);
	ok(mem_in(bar(0) + COMMON + 0x16, 2) == 3, "window: a write arrives");
	cfg_out(1, win + 12, 3, 4);
	cfg_out(1, win + 16, 4, 4);
	cfg_out(1, win + 12, 2, 4);
	cfg_out(1, win + 4, 5, 1);
	cfg_out(1, win + 16, 4, 4);
	cfg_out(1, win + 4, 200, 1);
	cfg_out(1, win + 16, 4, 4);
	cfg_out(1, win + 4, 0, 1);
	cfg_out(1, win + 8, 0xfffffffe, 4);
	cfg_out(1, win + 16, 4, 4);
	ok(mem_in(bar(0) + COMMON + 0x16, 2) == 3,
	   "window: bad lengths, BARs and offsets do nothing");
}

static void test_intx(void)
{
	static const struct pci_ops none;
	static struct pci_dev other[4];
	const struct pci_id id = { .vendor = 1 };

	start(ALL);
	memset(&seen, 0, sizeof(seen));
	virtio_balloon_target(&balloon, 8 * MIB);
	ok(seen.level[1] && !seen.msi, "no MSI-X: INTA of slot 1 is GSI 17");
	ok(cfg_in(1, 6, 2) & 8, "interrupt status");
	ok(cfg_in(1, 0x3d, 1) == 1, "interrupt pin A");
	cfg_out(1, 4, 0x406, 2);
	ok(!seen.level[1] && cfg_in(1, 6, 2) & 8, "the disable bit holds it back");
	cfg_out(1, 4, 6, 2);
	ok(seen.level[1], "and lets it through");
	for (unsigned int i = 0; i < 4; i++) {
		pci_dev_init(&other[i], &id, &none);
		ok(!pci_add(&pci, &other[i]) && other[i].slot == i + 2, "slot %u", i + 2);
	}
	pci_intx(&other[3], true);
	ok(mem_in(bar(0) + ISR, 1) == 2, "ISR: configuration");
	ok(seen.level[1] && !(cfg_in(1, 6, 2) & 8), "the line is shared: slot 5 holds it");
	pci_intx(&other[3], false);
	pci_intx(&other[3], false);
	ok(!seen.level[1], "the last one lets go");
	ok(mem_in(bar(0) + ISR, 1) == 0, "ISR: reading cleared it");
	for (unsigned int i = 0; i < 2; i++) {
		static struct pci_dev more[2];

		pci_dev_init(&more[i], &id, &none);
		ok(!pci_add(&pci, &more[i]), "slot %u", 6 + i);
	}
	ok(pci_add(&pci, &(struct pci_dev){ 0 }) == -28, "a full bus refuses");
	virtio_balloon_target(&balloon, 8 * MIB);
	set_dev_status(0);
	ok(!seen.level[1], "a reset drops the line");
}

static void set_vector(unsigned int v, uint32_t data, bool masked)
{
	uint64_t e = bar(1) + 16 * v;

	mem_out(e, 0xfee01000, 4);
	mem_out(e + 4, 0, 4);
	mem_out(e + 8, data, 4);
	mem_out(e + 12, masked, 4);
}

static void test_msix(void)
{
	unsigned int cap = find_cap(0x11, 0);

	start(ALL);
	memset(&seen, 0, sizeof(seen));
	ok(mem_in(bar(1) + 12, 4) == 1, "vectors start masked");
	cfg_out(1, cap + 2, 0x8000, 2);
	set_vector(0, 0x40, true);
	virtio_balloon_target(&balloon, 9 * MIB);
	ok(!seen.msi && !seen.level[1] && mem_in(bar(1) + 0x800, 8) == 1,
	   "masked: pending");
	mem_out(bar(1) + 12, 0, 4);
	ok(seen.msi == 1 && seen.msi_addr == 0xfee01000 && seen.msi_data == 0x40 &&
	   !mem_in(bar(1) + 0x800, 4), "unmasked: sent");
	cfg_out(1, cap + 2, 0xc000, 2);
	virtio_balloon_target(&balloon, 10 * MIB);
	ok(seen.msi == 1, "the function's mask holds back");
	cfg_out(1, cap + 2, 0x8000, 2);
	ok(seen.msi == 2, "and lets through");
	cfg_out(1, 4, 2, 2);
	virtio_balloon_target(&balloon, 10 * MIB);
	ok(seen.msi == 2, "not without bus mastering");
	cfg_out(1, 4, 6, 2);
	ok(seen.msi == 3, "then with it");
	mem_out(bar(1) + 8, 0x99, 1);
	mem_out(bar(1) + 9, 0x9999, 2);
	mem_out(bar(1) + 0x800, ~0ULL, 8);
	mem_out(bar(1) + 6 * 16 - 4, ~0ULL, 8);
	mem_out(bar(1) + 0x7fc, ~0ULL, 4);
	ok(mem_in(bar(1) + 8, 4) == 0x40 && !mem_in(bar(1) + 0x800, 4) &&
	   mem_in(bar(1) + 6 * 16 - 4, 4) == 1, "odd accesses change nothing");
	mem_out(bar(0) + COMMON + 0x10, 6, 2);
	ok(mem_in(bar(0) + COMMON + 0x10, 2) == 0xffff, "vector 6 is refused");
	virtio_balloon_target(&balloon, 11 * MIB);
	ok(seen.msi == 3, "and without a vector nothing is sent");
	mem_out(bar(0) + COMMON + 0x10, 0, 2);
	for (unsigned int v = 1; v < 6; v++)
		set_vector(v, 0x40 + v, false);
}

static void test_features(void)
{
	uint64_t regs = bar(0) + COMMON, f;

	set_dev_status(0);
	mem_out(regs, 0, 4);
	f = mem_in(regs + 4, 4);
	mem_out(regs, 1, 4);
	f |= mem_in(regs + 4, 4) << 32;
	ok(f == (ALL | 1ULL << 32), "offers %#llx", (unsigned long long)f);
	mem_out(regs, 2, 4);
	ok(!mem_in(regs + 4, 4), "and no more");
	set_dev_status(3);
	set_features(ALL);
	set_dev_status(11);
	ok(dev_status() == 3, "no VERSION_1: FEATURES_OK does not stick");
	set_features(1ULL << 32 | 1ULL << 28);
	set_dev_status(11);
	ok(dev_status() == 3, "indirect descriptors: nor then");
	set_dev_status(15);
	ok(dev_status() == 3, "nor does DRIVER_OK");
	set_features(1ULL << 32 | STATS);
	set_dev_status(11);
	set_features(0);
	ok(dev_status() == 11 && balloon.dev.driver_features == (1ULL << 32 | STATS),
	   "a good set sticks");
	set_dev_status(8);
	ok(dev_status() == 11, "bits do not go but by a reset");
	set_dev_status(0x4b);
	ok(dev_status() == 11, "NEEDS_RESET is not the driver's");
	mem_out(regs + 0x16, 7, 2);
	ok(!mem_in(regs + 0x18, 2), "queue 7: size 0, it is not there");
	mem_out(regs + 0x1c, 1, 2);
	ok(dev_status() == 11, "enabling it does nothing");
}

static void fill(uint64_t gpa, uint64_t len)
{
	memset(ram(gpa), 0xa5, len);
}

static bool is_zero(uint64_t gpa, uint64_t len)
{
	const uint8_t *p = ram(gpa);

	for (uint64_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

/* One chain of page numbers to @q. */
static void move_pages(unsigned int q, const uint32_t *pfn, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		put_le32(ram(RING_DATA(q)) + 4 * i, pfn[i]);
	set_desc(q, 0, RING_DATA(q), 4 * n, 0, 0);
	send(q, 0);
}

static void test_inflate(void)
{
	static const uint32_t back[] = { 0x403, 0x402, 0x400, 0x401, 0x405, 0x403 };
	static const uint32_t bad[] = { 0x406, 0x1000, 0xc0000, 0xffffffff };
	struct balloon_info info;

	start(ALL);
	memset(&seen, 0, sizeof(seen));
	fill(0x400000, 0x10000);
	move_pages(0, back, 6);
	ok(used_idx(0) == 1 && get_le32(ram(RING_USED(0) + 4)) == 0, "the chain comes back");
	ok(seen.msi == 1 && seen.msi_data == 0x41, "with queue 0's interrupt");
	ok(is_zero(0x400000, 0x4000) && is_zero(0x405000, 0x1000), "its pages are free");
	ok(*ram(0x404000) == 0xa5 && *ram(0x406000) == 0xa5, "and no other");
	virtio_balloon_info(&balloon, &info);
	ok(info.driver && info.actual == 16 * MIB - 5 * 4096 &&
	   info.claimed == 16 * MIB && info.inflated == 5 * 4096,
	   "five pages given, though the driver claims none");
	mem_out(bar(0) + CONFIG + 4, 5, 4);
	virtio_balloon_info(&balloon, &info);
	ok(info.claimed == info.actual && mem_in(bar(0) + CONFIG + 4, 4) == 5,
	   "then it says so");
	move_pages(0, bad, 4);
	virtio_balloon_info(&balloon, &info);
	ok(is_zero(0x406000, 0x1000) && info.refused == 3 * 4096 && !info.broken,
	   "page numbers that are no RAM are passed over");
	fill(0x400000, 0x1000);
	move_pages(1, back, 6);
	virtio_balloon_info(&balloon, &info);
	ok(*ram(0x400000) == 0xa5 && info.actual == 16 * MIB - 4096 &&
	   used_idx(1) == 1, "deflating takes them back");
	put_le16(ram(RING_AVAIL(0)), 1);
	seen.msi = 0;
	move_pages(0, back, 6);
	ok(used_idx(0) == 3 && !seen.msi, "no interrupt where none is wanted");

	/* A chain of two buffers, the first ending within a page number. */
	start(ALL);
	fill(0x500000, 0x2000);
	put_le32(ram(RING_DATA(0)), 0x500);
	put_le32(ram(RING_DATA(0) + 4), 0x501);
	memmove(ram(RING_DATA(0) + 0x106), ram(RING_DATA(0) + 6), 2);
	set_desc(0, 3, RING_DATA(0), 6, D_NEXT, 9);
	set_desc(0, 9, RING_DATA(0) + 0x106, 2, 0, 0);
	send(0, 3);
	ok(is_zero(0x500000, 0x2000) && get_le32(ram(RING_USED(0) + 4)) == 3,
	   "a chain of two buffers");
	virtio_balloon_info(&balloon, &info);
	ok(info.actual == 16 * MIB - 2 * 4096, "a reset forgot the pages before");
}

static void test_target(void)
{
	struct balloon_info info;
	uint8_t generation;

	start(ALL);
	memset(&seen, 0, sizeof(seen));
	generation = mem_in(bar(0) + COMMON + 0x15, 1);
	ok(!virtio_balloon_target(&balloon, 4 * MIB) &&
	   mem_in(bar(0) + CONFIG, 4) == 12 * MIB / 4096, "target 4 MiB of 16");
	ok(seen.msi == 1 && seen.msi_data == 0x40, "the driver is told");
	ok(mem_in(bar(0) + COMMON + 0x15, 1) != generation, "the generation changes");
	ok(virtio_balloon_target(&balloon, 16 * MIB + 4096) == -34,
	   "more than the guest has is refused");
	virtio_balloon_info(&balloon, &info);
	ok(info.target == 4 * MIB && info.actual == 16 * MIB, "and nothing changed");
	ok(!virtio_balloon_target(&balloon, 16 * MIB) && !mem_in(bar(0) + CONFIG, 4),
	   "all of it");
	mem_out(bar(0) + CONFIG, 77, 4);
	ok(!mem_in(bar(0) + CONFIG, 4), "the driver cannot set it");
	ok(!mem_in(bar(0) + CONFIG + 16, 4) && !mem_in(bar(0) + CONFIG + 14, 4),
	   "nothing is read beyond the structure");
	set_dev_status(0);
	seen.msi = 0;
	virtio_balloon_target(&balloon, 8 * MIB);
	ok(!seen.msi && mem_in(bar(0) + CONFIG, 4) == 8 * MIB / 4096,
	   "without a driver it waits");
	virtio_balloon_target(&balloon, 16 * MIB);
}

static void test_stats(void)
{
	struct balloon_info info;
	uint8_t *p;

	start(ALL);
	memset(&seen, 0, sizeof(seen));
	p = ram(RING_DATA(2));
	put_le16(p, BALLOON_S_MEMFREE);
	put_le64(p + 2, 123456789);
	put_le16(p + 10, 999);
	put_le64(p + 12, 1);
	put_le16(p + 20, BALLOON_S_AVAIL);
	put_le64(p + 22, 42);
	set_desc(2, 0, RING_DATA(2), 3 * 10 + 5, 0, 0);
	virtio_balloon_poll(&balloon);
	ok(!seen.msi, "no buffer: a poll does nothing");
	send(2, 0);
	virtio_balloon_info(&balloon, &info);
	ok(info.stat_valid == (1u << BALLOON_S_MEMFREE | 1u << BALLOON_S_AVAIL) &&
	   info.stat[BALLOON_S_MEMFREE] == 123456789 && info.stat[BALLOON_S_AVAIL] == 42 &&
	   info.stat_ms, "two known tags, an unknown, and half of one");
	ok(used_idx(2) == 0 && !seen.msi, "the buffer is held");
	virtio_balloon_poll(&balloon);
	ok(used_idx(2) == 1 && seen.msi == 1 && seen.msi_data == 0x43,
	   "a poll gives it back");
	virtio_balloon_poll(&balloon);
	ok(used_idx(2) == 1, "once");
	put_le64(p + 2, 5);
	send(2, 0);
	virtio_balloon_info(&balloon, &info);
	ok(info.stat[BALLOON_S_MEMFREE] == 5, "then come new ones");
	send(2, 0);
	ok(dev_status() & NEEDS_RESET, "a second buffer breaks the device");
}

static void test_report(void)
{
	struct balloon_info info;

	for (unsigned int q = 3; q < 5; q++) {
		start(ALL);
		fill(0x600000, 0x10000);
		set_desc(q, 0, 0x600000, 0x4000, D_WRITE | D_NEXT, 1);
		set_desc(q, 1, 0x608800, 0x2000, D_WRITE, 0);
		send(q, 0);
		ok(is_zero(0x600000, 0x4000) && *ram(0x604000) == 0xa5 && used_idx(q) == 1,
		   "reported pages are free (queue %u)", q);
		ok(*ram(0x608800) == 0xa5 && is_zero(0x609000, 0x1000) &&
		   *ram(0x60a000) == 0xa5, "parts of pages are not");
		virtio_balloon_info(&balloon, &info);
		ok(info.actual == 16 * MIB, "they are still the guest's");
	}
	start(ALL & ~STATS);
	fill(0x600000, 0x1000);
	set_desc(2, 0, 0x600000, 0x1000, D_WRITE, 0);
	send(2, 0);
	ok(is_zero(0x600000, 0x1000), "without statistics queue 2 takes reports");
	start(ALL);
	mem_out(bar(0) + CONFIG + 12, 0xaa, 4);
	fill(0x600000, 0x1000);
	set_desc(3, 0, 0x600000, 0x1000, D_WRITE, 0);
	send(3, 0);
	ok(*ram(0x600000) == 0xa5 && used_idx(3) == 1, "poisoned pages keep their poison");
	start(STATS);
	fill(0x600000, 0x1000);
	set_desc(3, 0, 0x600000, 0x1000, D_WRITE, 0);
	send(3, 0);
	ok(*ram(0x600000) == 0xa5 && used_idx(3) == 0, "not negotiated: nothing is taken");
}

/* One thing wrong with a ring each; queue 0 has a good chain at 0. */
static void bad_head(void) { send(0, RING_SIZE); }
static void bad_next(void) { set_desc(0, 0, RING_DATA(0), 4, D_NEXT, RING_SIZE); send(0, 0); }
static void bad_loop(void) { set_desc(0, 0, RING_DATA(0), 4, D_NEXT, 0); send(0, 0); }
static void bad_addr(void) { set_desc(0, 0, 16 * MIB, 4, 0, 0); send(0, 0); }
static void bad_len(void) { set_desc(0, 0, 16 * MIB - 4, 5, 0, 0); send(0, 0); }
static void bad_wrap(void) { set_desc(0, 0, ~0ULL - 3, 8, 0, 0); send(0, 0); }
static void bad_hole(void) { set_desc(0, 0, 0xc0000000, 4, 0, 0); send(0, 0); }
static void bad_indirect(void) { set_desc(0, 0, RING_DATA(0), 16, D_INDIRECT, 0); send(0, 0); }
static void bad_idx(void) { avail_idx[0] = RING_SIZE; send(0, 0); }
static void bad_back(void) { avail_idx[0] = 0xfffe; send(0, 0); }

static void bad_order(void)
{
	set_desc(0, 0, RING_DATA(0), 4, D_WRITE | D_NEXT, 1);
	set_desc(0, 1, RING_DATA(0), 4, 0, 0);
	send(0, 0);
}

static void test_rings(void)
{
	static const struct {
		const char *what;
		void (*send)(void);
	} bad[] = {
		{ "a head beyond the ring", bad_head },
		{ "a next beyond the ring", bad_next },
		{ "a chain in a circle", bad_loop },
		{ "an address beyond RAM", bad_addr },
		{ "a length beyond RAM", bad_len },
		{ "an address that wraps", bad_wrap },
		{ "an address in the hole", bad_hole },
		{ "an indirect descriptor", bad_indirect },
		{ "more requests than the ring holds", bad_idx },
		{ "an index that runs backward", bad_back },
		{ "a buffer to read behind one to write", bad_order },
	};
	static const uint32_t one = 0x700;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		start(ALL);
		memset(&seen, 0, sizeof(seen));
		fill(0x700000, 0x1000);
		put_le32(ram(RING_DATA(0)), 0x700);
		bad[i].send();
		ok(dev_status() == (0x0f | NEEDS_RESET) && used_idx(0) == 0 &&
		   seen.msi == 1 && seen.msi_data == 0x40 && *ram(0x700000) == 0xa5,
		   "%s: NEEDS_RESET, and the driver is told", bad[i].what);
		avail_idx[0] = 0;
		move_pages(0, &one, 1);
		ok(*ram(0x700000) == 0xa5, "then nothing is served");
	}
	start(ALL);
	move_pages(0, &one, 1);
	ok(is_zero(0x700000, 0x1000) && dev_status() == 15, "a reset mends it");
}

static void test_queue_setup(void)
{
	static const struct {
		const char *what;
		uint64_t v;
		unsigned int reg, len;
	} bad[] = {
		{ "size 0", 0, 0x18, 2 },
		{ "size 12", 12, 0x18, 2 },
		{ "size 512", 512, 0x18, 2 },
		{ "descriptors not on 16 bytes", RING_DESC(0) + 8, 0x20, 8 },
		{ "available ring on an odd address", RING_AVAIL(0) + 1, 0x28, 8 },
		{ "used ring not on 4 bytes", RING_USED(0) + 2, 0x30, 8 },
		{ "descriptors beyond RAM", 16 * MIB - 16, 0x20, 8 },
		{ "available ring beyond RAM", 16 * MIB - 16, 0x28, 8 },
		{ "used ring beyond RAM", ~0ULL & ~3ULL, 0x30, 8 },
	};
	uint64_t regs = bar(0) + COMMON;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		set_dev_status(0);
		set_dev_status(3);
		set_features(ALL | 1ULL << 32);
		set_dev_status(11);
		mem_out(regs + 0x16, 0, 2);
		mem_out(regs + 0x18, RING_SIZE, 2);
		mem_out(regs + 0x20, RING_DESC(0), 8);
		mem_out(regs + 0x28, RING_AVAIL(0), 8);
		mem_out(regs + 0x30, RING_USED(0), 8);
		mem_out(regs + bad[i].reg, bad[i].v, bad[i].len);
		mem_out(regs + 0x1c, 1, 2);
		ok(dev_status() & NEEDS_RESET && !mem_in(regs + 0x1c, 2), "%s", bad[i].what);
		set_dev_status(15);
	}
	start(ALL);
	mem_out(regs + 0x16, 0, 2);
	mem_out(regs + 0x18, 256, 2);
	mem_out(regs + 0x20, 0, 8);
	ok(mem_in(regs + 0x18, 2) == RING_SIZE && mem_in(regs + 0x20, 8) == RING_DESC(0),
	   "an enabled queue stays as it is");
	set_dev_status(0);
	ok(mem_in(regs + 0x18, 2) == 256 && !mem_in(regs + 0x20, 8) &&
	   !mem_in(regs + 0x1c, 2), "a reset gives the defaults back");
}

static void test_early(void)
{
	static const uint32_t one = 0x800;
	unsigned int wakes;

	/* Filled and notified before DRIVER_OK, as Linux does with statistics. */
	set_dev_status(0);
	set_dev_status(3);
	set_features(ALL | 1ULL << 32);
	set_dev_status(11);
	setup_queue(0);
	fill(0x800000, 0x1000);
	move_pages(0, &one, 1);
	ok(*ram(0x800000) == 0xa5, "nothing is served before DRIVER_OK");
	wakes = seen.wakes;
	set_dev_status(15);
	virtio_balloon_work(&balloon);
	ok(seen.wakes > wakes && is_zero(0x800000, 0x1000), "and then at once");
	set_dev_status(0x8f);
	fill(0x800000, 0x1000);
	move_pages(0, &one, 1);
	ok(*ram(0x800000) == 0xa5, "nor after the driver has failed");
}

/* The number of requests and of page numbers in one turn are bounded. */
static void test_long(void)
{
	struct balloon_info info;
	unsigned int wakes;

	start(ALL);
	for (unsigned int i = 0; i < RING_SIZE; i++)
		set_desc(0, i, 0, 16 * MIB, i + 1 < RING_SIZE ? D_NEXT : 0, i + 1);
	virtio_balloon_info(&balloon, &info);
	wakes = info.inflated + info.refused;
	send(0, 0);
	virtio_balloon_info(&balloon, &info);
	ok(used_idx(0) == 1 || info.broken, "a chain of 256 MiB of page numbers ends");
	ok((info.inflated + info.refused - wakes) / 4096 <= 65536, "and is cut");
	guest_mem_discard(&mem, 0, 16 * MIB);
}

int main(void)
{
	if (machine())
		return 1;
	test_mechanism();
	test_bars();
	test_caps();
	test_intx();
	test_msix();
	test_features();
	test_inflate();
	test_target();
	test_stats();
	test_report();
	test_rings();
	test_queue_setup();
	test_early();
	test_long();
	virtio_balloon_destroy(&balloon);
	guest_mem_destroy(&mem);
	return tap_done();
}
