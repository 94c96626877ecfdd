/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-idle: connects to the system bus and waits for calls, which never come. The memory that it has is the least of any
 * daemon on the bus. */

#include "tests/vm/programs/calls.h"

int main(void)
{
        must("bus", sd_bus_open_system(&bus), NULL);
        for (;;) {
                must("bus", sd_bus_process(bus, NULL), NULL);
                must("bus", sd_bus_wait(bus, UINT64_MAX), NULL);
        }
}
