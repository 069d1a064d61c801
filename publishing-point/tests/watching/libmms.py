# SPDX-License-Identifier: MPL-2.0
"""Writes the stream behind an mmsh URL to standard output, by libmms."""

import ctypes
import sys

BANDWIDTH = 2**31 - 1
SIZE = 4096

libmms = ctypes.CDLL("libmms.so.0")
libmms.mmsh_connect.restype = ctypes.c_void_p
libmms.mmsh_connect.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
libmms.mmsh_read.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
libmms.mmsh_close.argtypes = [ctypes.c_void_p]

connection = libmms.mmsh_connect(None, None, sys.argv[1].encode(), BANDWIDTH)
if not connection:
    sys.exit("no connection")
buffer = ctypes.create_string_buffer(SIZE)
while (size := libmms.mmsh_read(None, connection, buffer, SIZE)) > 0:
    sys.stdout.buffer.write(buffer.raw[:size])
libmms.mmsh_close(connection)
