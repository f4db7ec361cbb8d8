// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <unistd.h>

#include "stats.h"

struct stats stats_open(int on)
{
	struct stats s;
	size_t size;

	REQUIRE(dev_cap(KVM_CAP_BINARY_STATS_FD) > 0,
		"no KVM_CAP_BINARY_STATS_FD");
	s.fd = CHECK_OK(ioctl(on, KVM_GET_STATS_FD, 0));
	CHECK_EQ(pread(s.fd, &s.head, sizeof(s.head), 0), sizeof(s.head));
	CHECK(s.head.num_desc > 0 && s.head.num_desc < 1000);
	CHECK(s.head.name_size > 0 && s.head.name_size <= 256);
	size = (sizeof(struct kvm_stats_desc) + s.head.name_size) *
	       s.head.num_desc;
	s.desc = malloc(size);
	CHECK_EQ(pread(s.fd, s.desc, size, s.head.desc_offset), size);
	return s;
}

void stats_close(struct stats *s)
{
	close(s->fd);
	free(s->desc);
}

struct kvm_stats_desc *stats_desc(struct stats *s, u32 i)
{
	return (void *)(s->desc + i * (sizeof(struct kvm_stats_desc) +
				       s->head.name_size));
}

u64 stats_read(struct stats *s, const char *name)
{
	u64 v;
	u32 i;

	for (i = 0; i < s->head.num_desc; i++) {
		struct kvm_stats_desc *d = stats_desc(s, i);

		if (strcmp(d->name, name))
			continue;
		CHECK_EQ(pread(s->fd, &v, 8, s->head.data_offset + d->offset),
			 8);
		return v;
	}
	FAIL("no statistic named %s", name);
	return 0;
}
