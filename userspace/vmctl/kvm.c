// SPDX-License-Identifier: GPL-2.0-only
/* Transport: the KVM ioctl ABI of /dev/emys and /dev/kvm. */
#include "kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util.h"

int kvm_ioctl_val(int fd, unsigned long req, unsigned long arg)
{
	int rc;

	do
		rc = ioctl(fd, req, arg);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : rc;
}

int kvm_ioctl(int fd, unsigned long req, void *arg)
{
	return kvm_ioctl_val(fd, req, (unsigned long)arg);
}

int kvm_cap(int fd, int cap)
{
	int rc = kvm_ioctl_val(fd, KVM_CHECK_EXTENSION, cap);

	return rc < 0 ? 0 : rc;
}

const char *kvm_open_hint(const char *device, int err, char *buf, int size)
{
	const char *module = strstr(device, "emys") ? "emys" :
			     strstr(device, "kvm") ? "kvm_intel (or kvm_amd)" :
			     NULL;

	switch (err) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		if (module)
			snprintf(buf, size, "is the module loaded? try: modprobe %s; dmesg says why it refuses",
				 module);
		else
			snprintf(buf, size, "no such device");
		break;
	case EACCES:
	case EPERM:
		snprintf(buf, size, "no permission: add yourself to the group that owns it (usermod -aG kvm USER, then log in again), or be root");
		break;
	case EBUSY:
		snprintf(buf, size, "another hypervisor holds VMX");
		break;
	default:
		snprintf(buf, size, "%s", strerror(err));
	}
	return buf;
}

int kvm_open(const char *device)
{
	char hint[256];
	int fd, version;

	fd = open(device, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		int err = errno;

		msg("%s: %s: %s", device, strerror(err),
		    kvm_open_hint(device, err, hint, sizeof(hint)));
		return -err;
	}
	version = kvm_ioctl_val(fd, KVM_GET_API_VERSION, 0);
	if (version == KVM_API_VERSION)
		return fd;
	if (version < 0)
		msg("%s: does not speak the KVM ioctl ABI: KVM_GET_API_VERSION: %s",
		    device, strerror(-version));
	else
		msg("%s: KVM API version %d, need %d", device, version,
		    KVM_API_VERSION);
	close(fd);
	return -EPROTONOSUPPORT;
}
