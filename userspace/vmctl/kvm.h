/* SPDX-License-Identifier: GPL-2.0-only */
/* Transport: the KVM ioctl ABI of /dev/emys and /dev/kvm. */
#ifndef KVM_H
#define KVM_H

#include <linux/kvm.h>
#include <stdbool.h>

/*
 * Open the device and check its API version. The descriptor, or a negative
 * errno after a message that says what to do about it.
 */
int kvm_open(const char *device);

/* Why opening @device failed with @err, and what helps; one line. */
const char *kvm_open_hint(const char *device, int err, char *buf, int size);

/* ioctl, repeated on EINTR; the result or a negative errno. */
int kvm_ioctl(int fd, unsigned long req, void *arg);
/* The same for requests whose argument is a number. */
int kvm_ioctl_val(int fd, unsigned long req, unsigned long arg);

/* Value of an extension, 0 when it is not there. */
int kvm_cap(int fd, int cap);

/* A capability, its name, and whether vmctl run cannot do without. */
struct kvm_cap_info {
	int cap;
	const char *name;
	bool needed;
};

extern const struct kvm_cap_info kvm_caps[];
extern const unsigned int kvm_nr_caps;

#endif
