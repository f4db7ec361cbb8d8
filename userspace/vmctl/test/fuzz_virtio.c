// SPDX-License-Identifier: GPL-2.0-only
/* libFuzzer: a hostile guest at the registers and rings of the balloon. */
#include <stdlib.h>

#include "driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_PORT, FUZZ_BAR0, FUZZ_BAR1, FUZZ_RING, FUZZ_SEND, FUZZ_TARGET, FUZZ_START, FUZZ_OPS };

/* One step of eight bytes: what, width, where, value. */
static void step(const uint8_t *p)
{
	static const unsigned int width[] = { 1, 2, 4, 8 };
	unsigned int len = width[p[1] & 3], queue = p[1] >> 2 & 7;
	uint16_t at = get_le16(p + 2);
	uint64_t v = (int64_t)(int32_t)get_le32(p + 4);

	switch (p[0] % FUZZ_OPS) {
	case FUZZ_PORT:
		out(0xcf8, 0x80000800 | (at & 0xfc), 4);
		out(0xcfc + (at & 3), v, len < 4 ? len : 4);
		in(0xcfc + (at & 3), 4);
		break;
	case FUZZ_BAR0:
		mem_out(bar(0) + at % 0x4000, v, len);
		mem_in(bar(0) + at % 0x4000, len);
		break;
	case FUZZ_BAR1:
		mem_out(bar(1) + at % 0x1000, v, len);
		mem_in(bar(1) + at % 0x1000, len);
		break;
	case FUZZ_RING:
		put_le32(ram(RING(queue % 5)) + at % 0xfff0, v);
		break;
	case FUZZ_SEND:
		send(queue % 5, at);
		break;
	case FUZZ_TARGET:
		virtio_balloon_target(&balloon, at * 4096ULL);
		virtio_balloon_poll(&balloon);
		break;
	case FUZZ_START:
		cfg_out(1, 4, 6, 2);
		cfg_out(1, 0x10, LAYOUT_PCI_MMIO, 4);
		cfg_out(1, 0x14, LAYOUT_PCI_MMIO + 0x4000, 4);
		start(at & 0x36);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t begin[8] = { FUZZ_START, 0, 0x36 };
	struct balloon_info info;

	if (!mem.base && machine())
		abort();
	/* A step may ask for much work; few are enough. */
	if (size > 8 * 64)
		size = 8 * 64;
	step(begin);
	for (; size >= 8; data += 8, size -= 8)
		step(data);
	virtio_balloon_info(&balloon, &info);
	if (info.actual > info.size || info.target > info.size)
		abort();
	return 0;
}
