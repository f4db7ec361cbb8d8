# SPDX-License-Identifier: GPL-2.0-only
# emys. `make` builds the module for the running kernel and vmctl; `make help` lists the rest.
VERSION := 0.1
# The kernel to build the module for, and to install it into.
KDIR ?= /lib/modules/$(shell uname -r)/build
# The emulated host's kernel: 6.1, 6.12 or watch.
KVER ?= 6.1
# Options for selftests/host, of `make host` and `make host-selftest`.
HOST_ARGS ?=
PREFIX ?= /usr/local
DESTDIR ?=

all: module vmctl

module:
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

vmctl:
	@$(MAKE) -s -C userspace/vmctl
	@mkdir -p build
	@cp -u userspace/vmctl/vmctl build/vmctl

# build/KVER/emys.ko for a kernel of the emulated host. Each has its own copy of
# the sources, because a module of Linux before 6.13 builds where its sources are.
host-module:
	@tools/host-module $(KVER)

# A shell in the emulated host with the module loaded and vmctl in PATH.
host: host-module vmctl
	@selftests/host/shell --kernel $(KVER) --guest $(HOST_ARGS)

# Everything a run needs, so that the first test does not pay for it.
host-prepare:
	@selftests/host/get emulator
	@selftests/host/get boot $(KVER)
	@selftests/host/get base
	@selftests/host/get guest 6.1

# The emulated host's own test: statuses, output, hangs, kernel trouble.
host-selftest:
	@selftests/host/selftest $(HOST_ARGS)

# The main job on real input, on any machine: see README.md.
demo:
	@tools/demo

# Every test and every gate; tools/check --help says how to run a part.
check:
	@tools/check $(CHECK)

bench: vmctl host-module
	@selftests/bench/exits

install: all
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules_install
	$(MAKE) -s -C userspace/vmctl install PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)
	install -D -m 644 tools/60-emys.rules $(DESTDIR)/etc/udev/rules.d/60-emys.rules

# The sources that DKMS needs go to /usr/src; then `dkms install emys/VERSION`.
dkms-add:
	install -d $(DESTDIR)/usr/src/emys-$(VERSION)
	cp -a Kbuild dkms.conf kmod include $(DESTDIR)/usr/src/emys-$(VERSION)/
	dkms add emys/$(VERSION)

dkms-install: dkms-add
	dkms install emys/$(VERSION)

clean:
	rm -rf build
	$(MAKE) -s -C userspace/vmctl clean
	$(MAKE) -s -C selftests clean
	@if [ -d "$(KDIR)" ]; then $(MAKE) -C $(KDIR) M=$(CURDIR) clean; fi

help:
	@cat tools/help.txt

.PHONY: all module vmctl host-module host host-prepare host-selftest demo check bench install dkms-add dkms-install clean help
