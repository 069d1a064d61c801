# SPDX-License-Identifier: MPL-2.0

"""Pushes a file, forks, and pushes it again in the child: fork.py FILE ELEMENT"""

import os
import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

SECONDS = 10


def push(path, element):
    """Pushes, and returns how it ended."""
    pipeline = Gst.parse_launch(f"filesrc location={path} ! {element}")
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(
        SECONDS * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR
    )
    pipeline.set_state(Gst.State.NULL)
    if message is None:
        return "neither EOS nor ERROR"
    if message.type == Gst.MessageType.EOS:
        return "EOS"
    return f"ERROR {message.parse_error()}"


path, element = sys.argv[1:]
Gst.init(None)
# GLib would give the child's work to idle threads that only the parent has. They end after half a second.
GLib.ThreadPool.set_max_unused_threads(0)
print("parent:", push(path, element), flush=True)
time.sleep(1)
child = os.fork()
if child == 0:
    print("child:", push(path, element), flush=True)
    os._exit(0)
_, status = os.waitpid(child, 0)
print("status:", status)
