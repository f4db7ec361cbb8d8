/* SPDX-License-Identifier: GPL-2.0-only */
/* The EPT page-table format: contract of kmod/ept/ */
#ifndef _EMYS_EPT_H
#define _EMYS_EPT_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/types.h>

/*
 * Source: Intel SDM volume 3, chapter "VMX Support for Address Translation",
 * sections "The Extended Page Table Mechanism (EPT)", "EPT Misconfigurations",
 * "Accessed and Dirty Flags for EPT" and "Caching Translation Information".
 *
 * This directory knows the format and nothing else: no policy, no owner of a
 * guest page, no memslot, no VMX instruction. Addresses are bytes, gfns are
 * 4 KiB frame numbers, levels count from 1 (4 KiB leaf) over 2 (2 MiB) and
 * 3 (1 GiB) to 4 (the root table). Ranges are half open, [start, end).
 *
 * Locks. ept takes none. "READ" and "WRITE" below mean that the caller holds
 * the lock of the VM's memory (the mmu lock) that way, WRITE excluding all
 * others. No call sleeps, except ept_init(), ept_destroy() and
 * ept_cache_fill(), which want process context. Under READ any number of
 * CPUs may map, split, write-protect and harvest at once: each change is one
 * compare-exchange of one entry. The CPU's own setting of accessed and dirty
 * flags may race with everything, under WRITE too.
 *
 * Tables. A page-table page is taken from the caller's struct ept_cache,
 * filled before the lock is taken, and leaves through a struct ept_zap, whose
 * pages are freed after the flush. So nothing is allocated or freed by the
 * system under a lock, and no CPU can walk a page that was given back.
 *
 * Flush. A call that may leave a stale translation with more rights, or of
 * another page, in some TLB says so by its return value. The duty of the
 * caller is then, before it gives away a page or trusts a cleared flag:
 * ept_gen_bump(), kick the vCPUs that run, wait for their exit.
 */

typedef u64 gpa_t;
typedef u64 hpa_t;
typedef u64 gfn_t;

#define EPT_PAGE_SHIFT		12
#define EPT_ENTRIES		512
#define EPT_LEVELS		4
#define EPT_GPA_BITS		48	/* 4-level walk */
#define EPT_GFN_END		(1ULL << (EPT_GPA_BITS - EPT_PAGE_SHIFT))

/* Bits of an entry, in the manual's order */
#define EPT_R			BIT_ULL(0)
#define EPT_W			BIT_ULL(1)
#define EPT_X			BIT_ULL(2)
#define EPT_RWX			(EPT_R | EPT_W | EPT_X)
#define EPT_MT_SHIFT		3
#define EPT_MT_MASK		GENMASK_ULL(5, 3)	/* leaf only */
#define EPT_IPAT		BIT_ULL(6)		/* leaf only */
#define EPT_PS			BIT_ULL(7)		/* leaf at level 2 or 3 */
#define EPT_A			BIT_ULL(8)
#define EPT_D			BIT_ULL(9)		/* leaf only */
#define EPT_ADDR_MASK		GENMASK_ULL(51, 12)
#define EPT_LINK		BIT_ULL(52)	/* the CPU ignores it: see ept_link() */
#define EPT_SPP			BIT_ULL(61)	/* 4 KiB leaf without W, see ept_trace() */

/* Memory types, as in the MTRRs; 2, 3 and 7 are misconfigurations */
#define EPT_MT_UC		0
#define EPT_MT_WC		1
#define EPT_MT_WT		4
#define EPT_MT_WP		5
#define EPT_MT_WB		6

/**
 * struct ept_format - what the CPU (or, for a nested walk, the virtual CPU)
 *	accepts in an entry
 * @maxphyaddr: physical-address width, 32..52; higher address bits are reserved
 * @ad: accessed and dirty flags are on in the EPTP
 * @exec_only: execute-only translations are supported
 * @has_2m: 2 MiB leaves are supported
 * @has_1g: 1 GiB leaves are supported
 * @nx_large: the CPU can machine-check when a page changes its size while it
 *	is executed from (ITLB multihit): ept_map() and ept_collapse() refuse
 *	a large leaf with EPT_X, so that ept_split() needs no flush there too
 * @spp: sub-page write permissions are on
 */
struct ept_format {
	u8 maxphyaddr;
	bool ad;
	bool exec_only;
	bool has_2m;
	bool has_1g;
	bool nx_large;
	bool spp;
};

/**
 * struct ept_root - one EPT hierarchy
 *
 * Keys: (c) constant between ept_init() and ept_destroy(), (a) atomic, any
 * context. The entries of the tables: changed by compare-exchange under READ,
 * cleared under WRITE, read with READ_ONCE() under READ or WRITE.
 *
 * @pml4: (c) the root table
 * @spp: (c) the root of the sub-page permission table, with fmt.spp
 * @fmt: (c) the format
 * @gen: (a) flush generation, from 1 upward, see ept_gen()
 * @tables: (a) table pages reachable from @pml4, itself included
 * @leaves: (a) present leaves, by level - 1
 * @traced: any context; ept_trace() has ever made a traced leaf
 */
struct ept_root {
	u64 *pml4;
	u64 *spp;
	struct ept_format fmt;
	atomic64_t gen;
	atomic64_t tables;
	atomic64_t leaves[3];
	bool traced;
};

/**
 * struct ept_cache - zeroed table pages set aside before a lock is taken
 *
 * Owned by one thread at a time (usually a vCPU's). Zero-initialise.
 */
#define EPT_CACHE_MAX		8
#define EPT_CACHE_MAP		3	/* ept_map() takes at most so many */
#define EPT_CACHE_SPLIT		2	/* ept_split() from 1 GiB to 4 KiB */
#define EPT_CACHE_ZAP		4	/* ept_zap_range() with EPT_ZAP_SPLIT */
struct ept_cache {
	unsigned int nr;
	void *table[EPT_CACHE_MAX];
};

/**
 * struct ept_zap - what removals leave behind until the flush
 *
 * Zero-initialise; may be handed to several calls before one flush.
 * @tables: removed table pages, for ept_zap_free()
 * @nr_tables: how many
 * @leaf: NULL, or called once for each removed leaf with its last value (its
 *	final accessed and dirty flags included), under the caller's lock
 * @ctx: for @leaf
 */
struct ept_zap {
	void *tables;
	unsigned long nr_tables;
	void (*leaf)(void *ctx, gfn_t gfn, int level, u64 old);
	void *ctx;
};

/**
 * struct ept_walk - where a walk ended
 * @ptr: the entry; valid as long as the lock is held
 * @val: its value when read
 * @level: its level, 1..4. Present means it is a leaf, not present that
 *	nothing is mapped at or below this level here.
 */
struct ept_walk {
	u64 *ptr;
	u64 val;
	int level;
};

/* Geometry and the parts of an entry */

static inline unsigned int ept_level_shift(int level)
{
	return EPT_PAGE_SHIFT + 9 * (level - 1);
}

/* Bytes that one entry of a level covers */
static inline u64 ept_level_size(int level)
{
	return 1ULL << ept_level_shift(level);
}

/* Frames that one entry of a level covers */
static inline u64 ept_level_gfns(int level)
{
	return 1ULL << (9 * (level - 1));
}

static inline bool ept_present(u64 entry)
{
	return entry & EPT_RWX;
}

/* Of a present entry: it maps memory, it does not name a table */
static inline bool ept_is_leaf(u64 entry, int level)
{
	return level == 1 || (level < EPT_LEVELS && (entry & EPT_PS));
}

/* First byte of the memory that a leaf maps */
static inline hpa_t ept_leaf_hpa(u64 entry, int level)
{
	return entry & EPT_ADDR_MASK & ~(ept_level_size(level) - 1);
}

static inline unsigned int ept_leaf_memtype(u64 entry)
{
	return (entry & EPT_MT_MASK) >> EPT_MT_SHIFT;
}

/**
 * ept_check_entry() - would the CPU call this entry a misconfiguration?
 *
 * Pure. An entry that is not present never is.
 * Return: EPT_OK, or the first rule it breaks.
 */
enum ept_misconfig {
	EPT_OK,
	EPT_BAD_WRITE_ONLY,	/* writable, not readable */
	EPT_BAD_EXEC_ONLY,	/* execute-only, and the CPU has no such */
	EPT_BAD_RESERVED,	/* a reserved bit is set */
	EPT_BAD_MEMTYPE,	/* a leaf of memory type 2, 3 or 7 */
};

enum ept_misconfig ept_check_entry(const struct ept_format *fmt, u64 entry,
				   int level);

/**
 * ept_max_level() - the largest leaf the format allows with these rights
 * @prot: EPT_R | EPT_W | EPT_X
 */
int ept_max_level(const struct ept_format *fmt, u64 prot);

/**
 * ept_init() - make an empty hierarchy
 *
 * Process context, may sleep. The generation starts at 1.
 * Return: 0; -EINVAL when @fmt is senseless (width outside 32..52);
 * -ENOMEM.
 */
int ept_init(struct ept_root *root, const struct ept_format *fmt);

/**
 * ept_destroy() - free every table
 *
 * Process context. The caller is the last user: no vCPU will enter with this
 * root again. No flush is needed here, because whoever gets the pages as a new
 * root starts with a generation that no CPU has seen (see ept_gen()).
 * A root that was zeroed and never initialised, or already destroyed, is fine.
 */
void ept_destroy(struct ept_root *root);

/* The EPT pointer for the VMCS: write-back tables, 4 levels, A/D as in fmt */
u64 ept_eptp(const struct ept_root *root);

/**
 * ept_cache_fill() - have at least @want tables in the cache
 * @want: at most EPT_CACHE_MAX
 *
 * Process context, may sleep, no lock held. Pages are charged to the memory
 * cgroup of the caller. Return: 0, or -ENOMEM (the cache keeps what it has).
 */
int ept_cache_fill(struct ept_cache *cache, unsigned int want);

/* Give the pages of a cache back. Any context that may free a page. */
void ept_cache_drain(struct ept_cache *cache);

/**
 * ept_walk() - find the entry that decides about an address
 *
 * READ or WRITE. Follows links, as the CPU does. Never loops: at most 4
 * reads. @gpa must be below 2^48, else the walk ends at once (level 4, value 0,
 * pointer NULL).
 * Return: true when a leaf maps @gpa.
 */
bool ept_walk(const struct ept_root *root, gpa_t gpa, struct ept_walk *walk);

/* Flags of ept_map() and ept_collapse(), beside the memory type */
#define EPT_MAP_IPAT		BIT(0)	/* memory type overrides the guest's PAT */
#define EPT_MAP_ACCESSED	BIT(1)	/* start with A set: saves the CPU the write */
#define EPT_MAP_DIRTY		BIT(2)	/* start with D set, likewise */

/**
 * ept_map() - map one leaf, or give an existing leaf more rights
 * @gpa: any address inside the leaf; @hpa: its first byte, aligned to its size
 * @level: 1, 2 or 3
 * @prot: EPT_R, EPT_R|EPT_W, ... ; EPT_X alone only with fmt.exec_only
 * @memtype: EPT_MT_*
 * @flags: EPT_MAP_*
 *
 * READ or WRITE. Takes up to EPT_CACHE_MAP tables from @cache, which keeps
 * those that another CPU's table made needless.
 *
 * Never needs a flush: what was not present is not cached, and a cached
 * translation with fewer rights costs one EPT violation, which drops it.
 *
 * Return:
 * 0		mapped, or rights of the same page's leaf widened
 * -EEXIST	a leaf of this or a larger size already maps @gpa to the same
 *		memory with these rights: the fault was spurious, enter again
 * -EBUSY	a leaf is there, but for other memory, or with another memory type,
 *		or a larger one without these rights: zap or split it
 * -ENOTEMPTY	@level is 2 or 3 and a table is there: map smaller, or collapse
 * -EAGAIN	the entry kept changing under the call: enter again
 * -ENOMEM	the cache is empty: leave the lock, fill it, come back
 * -EINVAL	misaligned, out of range, size not supported, senseless rights
 */
int ept_map(struct ept_root *root, struct ept_cache *cache, gpa_t gpa,
	    hpa_t hpa, int level, u64 prot, unsigned int memtype,
	    unsigned int flags);

/**
 * ept_link() - let this hierarchy have the small leaves of another
 * @gpa: any address of the 2 MiB that get them; @table: the other's table of level 1
 * @prot: EPT_R, ... ; the CPU takes the AND of it and of each leaf's rights
 *
 * READ or WRITE, for both hierarchies. The table stays the other's: no call on @root changes or
 * counts what is in it, and ept_zap_range() and ept_destroy() forget the link alone. The
 * caller removes the link, by ept_unlink(), before the other hierarchy loses the table, in the
 * same hold of WRITE; and what changes in the table takes a flush of @root too. Both formats have
 * to agree on @ad. Takes up to EPT_CACHE_MAP tables from @cache. Never needs a flush, as ept_map().
 *
 * Only ept_walk() follows a link. The others find nothing behind it, and ept_map() is -EBUSY there
 * (-ENOTEMPTY for @level 2).
 *
 * Return: 0 linked, or rights of a link to this table widened; -EEXIST it is, with these rights;
 * -EBUSY a link to another table, or a leaf; -ENOTEMPTY a table of its own; -EAGAIN, -ENOMEM,
 * -EINVAL as ept_map().
 */
int ept_link(struct ept_root *root, struct ept_cache *cache, gpa_t gpa, const u64 *table,
	     u64 prot);

/* WRITE. Return: true when there was a link for @gpa and is none: flush. */
bool ept_unlink(struct ept_root *root, gpa_t gpa);

/* READ or WRITE. The entry that links the 2 MiB of @gpa, or 0 */
u64 ept_linked(struct ept_root *root, gpa_t gpa);

#define EPT_ZAP_SPLIT		BIT(0)

/**
 * ept_zap_range() - remove all leaves in [start, end) and the tables that the
 *	range covers wholly
 * @cache: NULL, or tables for EPT_ZAP_SPLIT
 *
 * WRITE. A large leaf that the range covers in part goes whole, which is always
 * safe (its rest faults back in); with EPT_ZAP_SPLIT it is split first and its
 * rest stays, as long as @cache (EPT_CACHE_ZAP tables suffice) has tables.
 * Time is linear in the tables that exist in the range: chunk large ranges.
 *
 * Return: true when a leaf was removed, or a table: flush, then
 * ept_zap_free(). A table without leaves matters too, because the CPU caches
 * the way to it.
 */
bool ept_zap_range(struct ept_root *root, gfn_t start, gfn_t end,
		   unsigned int flags, struct ept_cache *cache,
		   struct ept_zap *zap);

/* Free the removed tables. After the flush, no lock needed. */
void ept_zap_free(struct ept_zap *zap);

/*
 * Sub-page write permissions, used to trace which parts of a page the guest writes. SDM volume 3,
 * "Sub-Page Write Permissions". A traced leaf has EPT_SPP and not EPT_W; the table says for each
 * sub-page whether it may be written. The first write to one causes an EPT violation, which
 * ept_trace_write() answers by allowing it: so what is allowed has been written. A write that is
 * not eligible (by a page walk, or across sub-pages) ends the trace: the leaf gets EPT_W again.
 * Every call here is for root->fmt.spp only. Tables of permissions stay until ept_destroy().
 */
#define EPT_SUBPAGES		32	/* of 128 bytes */
#define EPT_SUBPAGE_SHIFT	7

/* For the VMCS: the physical address of the table */
u64 ept_spptp(const struct ept_root *root);

/**
 * ept_trace() - begin to trace the writable 4 KiB leaf at @gpa
 *
 * WRITE. Takes up to EPT_CACHE_MAP tables from @cache.
 * Return: 0, and a flush is due before writes show; -ENOENT: no such leaf; -ENOMEM
 */
int ept_trace(struct ept_root *root, struct ept_cache *cache, gpa_t gpa);

/**
 * ept_trace_write() - a write at @gpa was refused
 *
 * READ. Return: true when its sub-page was not allowed and is from now on: enter again. Else the
 * write needs EPT_W, by ept_map().
 */
bool ept_trace_write(struct ept_root *root, gpa_t gpa);

/**
 * ept_trace_read() - which sub-pages at @gpa have been written since ept_trace()
 * @end: end the trace: the leaf gets EPT_W again, for which no flush is due
 * @written: a bit for each sub-page
 *
 * READ. Return: 0; -ENOENT: it is not traced any more, and what was written is not known
 */
int ept_trace_read(struct ept_root *root, gpa_t gpa, bool end, u32 *written);

/**
 * ept_split() - make the leaf at @gpa not larger than @level, 1 or 2
 *
 * READ or WRITE. Memory, rights, memory type, A and D stay what they were for
 * every byte. Never needs a flush: an old large translation that some TLB
 * keeps says the same as the new small ones, and the flush of the first
 * change to one of them removes it.
 *
 * Return: 0 when the leaf is small enough now or was; -ENOENT when no
 * leaf is there; -ENOMEM when the cache ran out (a step from 1 GiB to 2 MiB
 * may have been done); -EINVAL for a bad @gpa or @level.
 */
int ept_split(struct ept_root *root, struct ept_cache *cache, gpa_t gpa,
	      int level);

/**
 * ept_collapse() - replace a table by one large leaf
 *
 * WRITE. Parameters as ept_map(), @level 2 or 3. D of the new leaf is set if
 * any leaf that it replaces had it, A likewise. The caller has made sure that
 * @hpa holds the content.
 * Return: 0 when done: flush, then ept_zap_free(); -ENOENT when no table is
 * there (nothing is mapped, or a leaf of this size or a larger one: nothing
 * changed); -EINVAL as ept_map().
 */
int ept_collapse(struct ept_root *root, gpa_t gpa, hpa_t hpa, int level,
		 u64 prot, unsigned int memtype, unsigned int flags,
		 struct ept_zap *zap);

/**
 * ept_wrprot_range() - take W from every leaf that touches [start, end)
 *
 * READ or WRITE. A large leaf is protected whole; split it first where only
 * small dirty units will do. A and D stay.
 * Return: true when a leaf lost W: flush.
 */
bool ept_wrprot_range(struct ept_root *root, gfn_t start, gfn_t end);

/**
 * ept_harvest() - read, and perhaps clear, accessed and dirty flags
 * @want: EPT_A, EPT_D or both: leaves with any of these are visited
 * @clear: EPT_A, EPT_D or both: flags to clear in visited leaves
 * @fn: NULL, or called for each visited leaf that touches [start, end), with
 *	those of @want that it had
 *
 * READ or WRITE. Where fmt.ad is off, write protection stands in for D: a
 * leaf is dirty while it is writable, clearing D takes W away, and the write
 * fault's ept_map() sets it again. A is then always found set and never
 * cleared; who needs to know must zap and see what faults back.
 *
 * Return: true when a flag (or W) was cleared. A flush is then needed before
 * the content of a page found clean is trusted: until then a CPU may write
 * through a cached translation without setting D. After clearing only A it may
 * be left out; the price is an access that goes unseen.
 */
bool ept_harvest(struct ept_root *root, gfn_t start, gfn_t end, u64 want,
		 u64 clear, void (*fn)(void *ctx, gfn_t gfn, int level, u64 bits),
		 void *ctx);

/**
 * ept_mark() - set accessed and dirty flags of every leaf that touches [start, end)
 * @flags: EPT_A, EPT_D or both; nothing happens where fmt.ad is off
 *
 * READ or WRITE. For who knows of an access that did not come through this hierarchy.
 */
void ept_mark(struct ept_root *root, gfn_t start, gfn_t end, u64 flags);

/**
 * ept_visit() - call @fn for each leaf that touches [start, end), upward
 *
 * READ or WRITE. @fn returns 0 to go on; what else it returns ends the visit
 * and is returned. @fn must not change the hierarchy.
 */
int ept_visit(const struct ept_root *root, gfn_t start, gfn_t end,
	      int (*fn)(void *ctx, gfn_t gfn, int level, u64 entry), void *ctx);

/**
 * ept_gen() - the flush generation; ept_gen_bump() starts the next one
 *
 * A CPU's TLB is tagged by EPTP, so "seen" belongs to a pair of root and CPU,
 * not to a vCPU that migrates; it starts at 0, which no generation equals.
 * Before entry, interrupts off, after the vCPU made it visible that it is
 * about to be in the guest (full barrier):
 *	g = ept_gen(root); if (seen != g) { INVEPT; seen = g; }
 * The flusher: change entries, ept_gen_bump() (full barrier), then kick every
 * vCPU that is visibly in the guest. Either the vCPU sees the new
 * generation, or the flusher sees the vCPU. Any context.
 */
static inline u64 ept_gen(const struct ept_root *root)
{
	return atomic64_read(&root->gen);
}

static inline u64 ept_gen_bump(struct ept_root *root)
{
	return atomic64_inc_return(&root->gen);
}

#endif
