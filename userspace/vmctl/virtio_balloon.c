// SPDX-License-Identifier: GPL-2.0-only
/* virtio-balloon: the guest gives memory back. */
#include "virtio_balloon.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util.h"

#define TYPE_BALLOON		5
#define F_STATS			(1ULL << 1)
#define F_DEFLATE_ON_OOM	(1ULL << 2)
#define F_PAGE_POISON		(1ULL << 4)
#define F_PAGE_REPORTING	(1ULL << 5)

/*
 * Queues after these depend on what was negotiated: statistics come next if
 * they were, and then reports. The specification leaves a gap for the
 * free-page-hint queue when that is not offered; Linux does not. Both places
 * take reports.
 */
enum { QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_STATS, QUEUE_REPORT, QUEUE_REPORT_2, QUEUES };

/* The device's configuration space. */
enum {
	CONFIG_NUM_PAGES = 0,
	CONFIG_ACTUAL = 4,
	CONFIG_POISON = 12,
	CONFIG_LEN = 16,
};

#define MOVE_MAX 65536		/* page numbers read of one request */
#define STAT_LEN 10		/* le16 tag, le64 value, packed */

const char *const virtio_balloon_stat_names[BALLOON_STATS] = {
	"swap_in", "swap_out", "major_faults", "minor_faults", "free", "total",
	"available", "caches", "hugetlb_alloc", "hugetlb_fail", "oom_kill",
	"alloc_stall", "async_scan", "direct_scan", "async_reclaim",
	"direct_reclaim",
};

static struct virtio_balloon *of(struct virtio_dev *dev)
{
	return (struct virtio_balloon *)((char *)dev -
					 offsetof(struct virtio_balloon, dev));
}

static void config_image(const struct virtio_balloon *b, uint8_t *p)
{
	memset(p, 0, CONFIG_LEN);
	put_le32(p + CONFIG_NUM_PAGES, b->num_pages);
	put_le32(p + CONFIG_ACTUAL, b->actual);
	put_le32(p + CONFIG_POISON, b->poison);
}

static void config_read(struct virtio_dev *dev, unsigned int off, uint8_t *data,
			unsigned int len)
{
	uint8_t image[CONFIG_LEN];

	config_image(of(dev), image);
	if (off + len <= CONFIG_LEN)
		memcpy(data, image + off, len);
}

static void config_write(struct virtio_dev *dev, unsigned int off,
			 const uint8_t *data, unsigned int len)
{
	struct virtio_balloon *b = of(dev);

	if (len != 4)
		return;
	if (off == CONFIG_ACTUAL)
		b->actual = get_le32(data);
	else if (off == CONFIG_POISON)
		b->poison = get_le32(data);
}

static void kick(struct virtio_dev *dev, unsigned int queue)
{
	struct virtio_balloon *b = of(dev);

	(void)queue;
	b->wake(b->wake_ctx);
}

static void reset(struct virtio_dev *dev)
{
	struct virtio_balloon *b = of(dev);

	/* A driver that starts anew holds no page: all are the guest's again. */
	b->actual = 0;
	b->poison = 0;
	b->stats_held = false;
	b->stat_valid = 0;
	b->stat_ms = 0;
	b->nr_given = 0;
	if (b->given)
		memset(b->given, 0, round_up(b->nr_pages, 64) / 8);
}

static const struct virtio_ops ops = {
	.config_read = config_read,
	.config_write = config_write,
	.kick = kick,
	.reset = reset,
};

/* Position in the bitmap of the page at @gpa, which is RAM. */
static uint64_t page_of(const struct virtio_balloon *b, uint64_t gpa)
{
	if (gpa >= MEM_HOLE_END)
		gpa = gpa - MEM_HOLE_END + b->dev.mem->low;
	return gpa / BALLOON_PAGE;
}

static void mark(struct virtio_balloon *b, uint64_t gpa, bool given)
{
	uint64_t page = page_of(b, gpa), bit = 1ULL << page % 64;
	uint64_t *word = &b->given[page / 64];

	if (!(*word & bit) == !given)
		return;
	*word ^= bit;
	if (given)
		b->nr_given++;
	else
		b->nr_given--;
}

/* Free a range that was checked to be RAM. */
static void discard(struct virtio_balloon *b, uint64_t gpa, uint64_t pages)
{
	if (guest_mem_discard(b->dev.mem, gpa, pages * BALLOON_PAGE))
		b->kept += pages;
}

/* The C library's sort may read files, which the sandbox does not allow. */
static void sort(uint32_t *v, size_t nr)
{
	for (size_t gap = nr / 2; gap; gap /= 2)
		for (size_t i = gap; i < nr; i++) {
			uint32_t x = v[i];
			size_t j = i;

			for (; j >= gap && v[j - gap] > x; j -= gap)
				v[j] = v[j - gap];
			v[j] = x;
		}
}

/* Page numbers that the guest gives or takes; runs are freed in one go. */
static void move(struct virtio_balloon *b, uint32_t *pfn, size_t nr, bool give)
{
	uint64_t start = 0, run = 0;

	/* Drivers put pages in the order they got them, often backward. */
	sort(pfn, nr);
	for (size_t i = 0; i < nr; i++) {
		uint64_t gpa = pfn[i] * BALLOON_PAGE;

		if (i && pfn[i] == pfn[i - 1])
			continue;
		if (!guest_mem_ptr(b->dev.mem, gpa, BALLOON_PAGE)) {
			b->refused++;
			continue;
		}
		mark(b, gpa, give);
		if (!give) {
			b->deflated++;
			continue;
		}
		b->inflated++;
		if (run && gpa == start + run * BALLOON_PAGE) {
			run++;
			continue;
		}
		if (run)
			discard(b, start, run);
		start = gpa;
		run = 1;
	}
	if (run)
		discard(b, start, run);
}

/*
 * Take the next request of this turn, after @nr others; at the turn's end say
 * what was done. A guest that sends without end gets another turn.
 */
static bool take(struct virtio_balloon *b, unsigned int queue, unsigned int nr)
{
	if (nr < VIRTIO_QUEUE_SIZE &&
	    virtio_pop(&b->dev, queue, &b->chain) > 0)
		return true;
	if (nr)
		virtio_notify(&b->dev, queue);
	if (nr == VIRTIO_QUEUE_SIZE)
		b->wake(b->wake_ctx);
	return false;
}

static void serve_move(struct virtio_balloon *b, unsigned int queue, bool give)
{
	uint32_t pfn[256];

	for (unsigned int i = 0; take(b, queue, i); i++) {
		size_t off = 0, n;

		/* Much more than drivers send, and little enough to wait for. */
		while (off < MOVE_MAX * sizeof(pfn[0]) &&
		       (n = virtio_copy_out(&b->chain, off, pfn, sizeof(pfn)))) {
			for (size_t p = 0; p < n / 4; p++)
				pfn[p] = get_le32((uint8_t *)&pfn[p]);
			move(b, pfn, n / 4, give);
			off += n;
		}
		virtio_push(&b->dev, queue, b->chain.head, 0);
	}
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

static void take_stats(struct virtio_balloon *b)
{
	uint8_t s[STAT_LEN];
	unsigned int tag;

	/* More tags than there are in the specification: not worth reading. */
	for (size_t i = 0; i < 64; i++) {
		if (virtio_copy_out(&b->chain, i * STAT_LEN, s, STAT_LEN) !=
		    STAT_LEN)
			break;
		tag = get_le16(s);
		if (tag >= BALLOON_STATS)
			continue;
		b->stat[tag] = get_le64(s + 2);
		b->stat_valid |= 1u << tag;
	}
	b->stat_ms = now_ms();
}

static void serve_stats(struct virtio_balloon *b)
{
	/* The driver gives one buffer and waits until it is given back. */
	while (virtio_pop(&b->dev, QUEUE_STATS, &b->chain) > 0) {
		if (b->stats_held) {
			virtio_broken(&b->dev);
			return;
		}
		take_stats(b);
		b->stats_held = true;
		b->stats_head = b->chain.head;
	}
}

/* Free pages the guest will get zeros in, or whatever, when it uses them again. */
static void report(struct virtio_balloon *b, const struct virtio_buf *buf)
{
	uint64_t from = round_up(buf->gpa, BALLOON_PAGE);
	uint64_t to = round_down(buf->gpa + buf->len, BALLOON_PAGE);

	if (from >= to)
		return;
	b->reported += (to - from) / BALLOON_PAGE;
	/* A guest that fills free pages with a pattern wants to find that. */
	if (b->dev.driver_features & F_PAGE_POISON && b->poison)
		return;
	discard(b, from, (to - from) / BALLOON_PAGE);
}

static void serve_reports(struct virtio_balloon *b, unsigned int queue)
{
	for (unsigned int i = 0; take(b, queue, i); i++) {
		for (unsigned int s = 0; s < b->chain.nr_in; s++)
			report(b, &b->chain.buf[b->chain.nr_out + s]);
		virtio_push(&b->dev, queue, b->chain.head, 0);
	}
}

void virtio_balloon_work(struct virtio_balloon *b)
{
	pthread_mutex_lock(&b->dev.lock);
	serve_move(b, QUEUE_INFLATE, true);
	serve_move(b, QUEUE_DEFLATE, false);
	if (b->dev.driver_features & F_STATS)
		serve_stats(b);
	if (b->dev.driver_features & F_PAGE_REPORTING) {
		if (!(b->dev.driver_features & F_STATS))
			serve_reports(b, QUEUE_STATS);
		serve_reports(b, QUEUE_REPORT);
		serve_reports(b, QUEUE_REPORT_2);
	}
	pthread_mutex_unlock(&b->dev.lock);
}

int virtio_balloon_target(struct virtio_balloon *b, uint64_t bytes)
{
	uint64_t pages;

	if (bytes > b->dev.mem->size)
		return -ERANGE;
	pthread_mutex_lock(&b->dev.lock);
	pages = (b->dev.mem->size - bytes) / BALLOON_PAGE;
	b->num_pages = pages < UINT32_MAX ? pages : UINT32_MAX;
	virtio_config_changed(&b->dev);
	pthread_mutex_unlock(&b->dev.lock);
	return 0;
}

void virtio_balloon_poll(struct virtio_balloon *b)
{
	pthread_mutex_lock(&b->dev.lock);
	if (b->stats_held && virtio_running(&b->dev)) {
		b->stats_held = false;
		virtio_push(&b->dev, QUEUE_STATS, b->stats_head, 0);
		virtio_notify(&b->dev, QUEUE_STATS);
	}
	pthread_mutex_unlock(&b->dev.lock);
}

void virtio_balloon_info(struct virtio_balloon *b, struct balloon_info *info)
{
	uint64_t size = b->dev.mem->size;

	pthread_mutex_lock(&b->dev.lock);
	*info = (struct balloon_info){
		.driver = virtio_running(&b->dev),
		.broken = b->dev.status & VIRTIO_NEEDS_RESET,
		.reporting = b->dev.driver_features & F_PAGE_REPORTING,
		.size = size,
		.target = size - b->num_pages * BALLOON_PAGE,
		.actual = size - b->nr_given * BALLOON_PAGE,
		.claimed = b->actual <= b->nr_pages ?
			   size - b->actual * BALLOON_PAGE : 0,
		.inflated = b->inflated * BALLOON_PAGE,
		.deflated = b->deflated * BALLOON_PAGE,
		.reported = b->reported * BALLOON_PAGE,
		.kept = b->kept * BALLOON_PAGE,
		.refused = b->refused * BALLOON_PAGE,
		.stat_valid = b->stat_valid,
		.stat_ms = b->stat_ms,
	};
	memcpy(info->stat, b->stat, sizeof(b->stat));
	pthread_mutex_unlock(&b->dev.lock);
}

int virtio_balloon_init(struct virtio_balloon *b, const struct guest_mem *mem,
			void (*wake)(void *ctx), void *ctx)
{
	memset(b, 0, sizeof(*b));
	b->wake = wake;
	b->wake_ctx = ctx;
	b->nr_pages = mem->size / BALLOON_PAGE;
	b->given = calloc(round_up(b->nr_pages, 64) / 64, sizeof(*b->given));
	if (!b->given)
		return -ENOMEM;
	virtio_init(&b->dev, TYPE_BALLOON,
		    F_STATS | F_DEFLATE_ON_OOM | F_PAGE_POISON |
		    F_PAGE_REPORTING, QUEUES, &ops, mem);
	return 0;
}

void virtio_balloon_destroy(struct virtio_balloon *b)
{
	free(b->given);
	b->given = NULL;
}
