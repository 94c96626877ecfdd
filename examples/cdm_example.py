#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reserves device memory for the unit that it runs in, maps a buffer of it, and gives both back.

    ./cdm_example.py hbm 64         # MiB

The buffer is an ordinary mapping, so numpy.frombuffer(memory, dtype="float32") makes an array of it without a copy. A
CUDA program on a coherent platform passes its address to kernels as it is, or registers it with cudaHostRegister();
torch.frombuffer(memory, dtype=torch.float32) makes a CPU tensor of it.
"""

import ctypes
import mmap
import os
import sys

lib = ctypes.CDLL(os.environ.get("LIBCDM", "libcdm.so.0"))
lib.cdm_error.restype = ctypes.c_char_p
lib.cdm_error.argtypes = [ctypes.c_void_p]
lib.cdm_open.argtypes = [ctypes.c_uint, ctypes.POINTER(ctypes.c_void_p)]
lib.cdm_close.restype = ctypes.c_void_p
lib.cdm_close.argtypes = [ctypes.c_void_p]
lib.cdm_request.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint64, ctypes.POINTER(ctypes.c_uint32)]
lib.cdm_release.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
lib.cdm_buffer.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_uint,
                           ctypes.POINTER(ctypes.c_int)]


def check(cdm, result):
    if result < 0:
        raise OSError(-result, lib.cdm_error(cdm).decode() if cdm else os.strerror(-result))


def use(cdm, reservation, size):
    fd = ctypes.c_int()
    check(cdm, lib.cdm_buffer(cdm, reservation, size, 0, ctypes.byref(fd)))
    with mmap.mmap(fd.value, size) as memory:
        os.close(fd.value)      # the mapping keeps the buffer
        memory[:8] = b"filled!\n"
        print(f"{len(memory)} bytes of device memory")


def main():
    if len(sys.argv) != 3:
        sys.exit(f"Usage: {sys.argv[0]} POOL MIB")
    pool, size = sys.argv[1].encode(), int(sys.argv[2]) << 20
    cdm, reservation = ctypes.c_void_p(), ctypes.c_uint32()
    check(None, lib.cdm_open(0, ctypes.byref(cdm)))
    try:
        check(cdm, lib.cdm_request(cdm, pool, size, ctypes.byref(reservation)))
        try:
            use(cdm, reservation, size)
        finally:
            check(cdm, lib.cdm_release(cdm, reservation))
    except OSError as e:
        sys.exit(e.strerror)
    finally:
        lib.cdm_close(cdm)


main()
