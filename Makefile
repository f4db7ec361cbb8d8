# SPDX-License-Identifier: GPL-2.0-only
KDIR ?= /lib/modules/$(shell uname -r)/build
all: module
module:
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules
