// SPDX-License-Identifier: GPL-2.0-only
/* libFuzzer: a hostile kernel file in front of the boot loaders. */
#include <stdlib.h>

#include "images.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * The first byte chooses: a good image of one format with bytes of it replaced
 * (two bytes of offset, one of value, again and again), or the input as it is.
 */
static size_t make_image(uint8_t *img, const uint8_t *data, size_t size)
{
	uint64_t (*const make[])(uint8_t *) = {
		make_bzimage, make_pvh, make_multiboot, make_flat,
	};
	size_t len;

	if (data[0] >= ARRAY_SIZE(make)) {
		len = size - 1 < IMG_MAX ? size - 1 : IMG_MAX;
		memcpy(img, data + 1, len);
		return len;
	}
	len = make[data[0]](img);
	for (data++, size--; size >= 3; data += 3, size -= 3)
		if (get_le16(data) < len)
			img[get_le16(data)] = data[2];
		else
			len = get_le16(data) % len + 1;
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guest_mem mem;
	static uint8_t img[IMG_MAX];
	uint8_t *exact;
	struct boot b = {
		.cmdline = "console=ttyS0",
		.rsdp = 0xe0000,
	};
	size_t len;

	if (!size)
		return 0;
	if (!mem.base && guest_mem_create(&mem, 64 * MIB, MEM_ANON))
		abort();
	len = make_image(img, data, size);
	/* Of the exact size, so that ASan sees each byte read beyond it. */
	exact = malloc(len + !len);
	if (!exact)
		return 0;
	memcpy(exact, img, len);
	b.mem = &mem;
	b.kernel = (struct image){ "kernel", exact, len };
	b.initrd = b.kernel;
	/* A refusal must say why; what is loaded must start inside RAM. */
	if (boot_load(&b)) {
		if (!*b.error)
			abort();
	} else if (!guest_mem_ptr(&mem, b.rip, 1)) {
		abort();
	}
	free(exact);
	return 0;
}
