#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reserves device memory for the unit that it runs in, maps an exact buffer of it into numpy, and gives both back.

    ./cdm_example.py hbm 64         # MiB

The CPU reaches the buffer like any other memory, so code that takes numpy's arrays takes this one without a copy:

    PyTorch   torch.from_numpy(array) is a CPU tensor of the same bytes. tensor.to("cuda") copies them to memory of
              the CUDA allocator, which is not this buffer.
    CUDA      A GPU that reads the memory of processes (cudaDevAttrPageableMemoryAccess is 1, as on Grace Hopper) takes
              the address as it is: kernel<<<...>>>(array.ctypes.data), or in CuPy cupy.cuda.UnownedMemory(). Do not
              register it with cudaHostRegister(): pinning may move the pages off the node, see cdm_buffer(3).

Neither has been tried on a GPU.
"""

import ctypes
import mmap
import os
import sys

import numpy

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


def map_buffer(cdm, reservation, size):
    fd = ctypes.c_int()
    check(cdm, lib.cdm_buffer(cdm, reservation, size, 0, ctypes.byref(fd)))
    memory = mmap.mmap(fd.value, size)      # the array keeps the mapping, the mapping keeps the buffer
    os.close(fd.value)
    return numpy.frombuffer(memory, dtype=numpy.float32)


def main():
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} POOL MIB")
    pool, size = sys.argv[1].encode(), int(sys.argv[2]) << 20
    cdm, reservation = ctypes.c_void_p(), ctypes.c_uint32()
    check(None, lib.cdm_open(0, ctypes.byref(cdm)))
    try:
        check(cdm, lib.cdm_request(cdm, pool, size, ctypes.byref(reservation)))
        try:
            array = map_buffer(cdm, reservation, size)
            array[:] = numpy.arange(len(array), dtype=numpy.float32) % 1000
            print(f"{array.nbytes} bytes of device memory, mean {array.mean(dtype=numpy.float64):.2f}")
            del array                       # the bytes are given back with the last array that uses them
        finally:
            check(cdm, lib.cdm_release(cdm, reservation))
    except OSError as e:
        sys.exit(e.strerror)
    finally:
        lib.cdm_close(cdm)


main()
