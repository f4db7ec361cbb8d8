// SPDX-License-Identifier: GPL-2.0-only
/* Kernel counters: the KVM ABI's binary statistics of a VM or vCPU. */
#include "stats.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvm.h"

/* What a sane kernel stays below: a bogus header must not exhaust memory. */
#define MAX_DESCS	4096
#define MAX_NAME	256
#define MAX_VALUES	1024

int stats_open(int dev_fd, int fd)
{
	int rc;

	if (!kvm_cap(dev_fd, KVM_CAP_BINARY_STATS_FD))
		return -1;
	rc = kvm_ioctl_val(fd, KVM_GET_STATS_FD, 0);
	return rc < 0 ? -1 : rc;
}

static bool read_at(int fd, void *buf, size_t len, off_t off)
{
	return pread(fd, buf, len, off) == (ssize_t)len;
}

static json_t *read_values(int fd, const struct kvm_stats_header *h,
			   const struct kvm_stats_desc *d)
{
	uint64_t v[MAX_VALUES];
	json_t *list;

	if (!d->size || d->size > MAX_VALUES ||
	    !read_at(fd, v, d->size * sizeof(v[0]), h->data_offset + d->offset))
		return NULL;
	if (d->size == 1)
		return json_integer(v[0]);
	list = json_array();
	for (unsigned int i = 0; i < d->size; i++)
		json_array_append_new(list, json_integer(v[i]));
	return list;
}

json_t *stats_read(int fd)
{
	json_t *out = json_object();
	struct kvm_stats_header h;
	struct kvm_stats_desc *d;
	size_t len;

	if (fd < 0 || !read_at(fd, &h, sizeof(h), 0) ||
	    h.num_desc > MAX_DESCS || !h.name_size || h.name_size > MAX_NAME)
		return out;
	len = sizeof(*d) + h.name_size;
	d = calloc(1, len + 1);
	if (!d)
		return out;
	for (uint32_t i = 0; i < h.num_desc; i++) {
		json_t *v;

		if (!read_at(fd, d, len, h.desc_offset + (off_t)i * len))
			break;
		v = read_values(fd, &h, d);
		if (v)
			json_object_set_new(out, d->name, v);
	}
	free(d);
	return out;
}
