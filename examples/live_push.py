#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0

"""Pushes a live test picture and tone, and prints the messages of wmspushsink.

    $ export GST_PLUGIN_PATH=$PWD/target/release
    $ python3 examples/live_push.py http://127.0.0.1:8080/live

It needs PyGObject and GStreamer's typelibs: python3-gi and gir1.2-gstreamer-1.0 on Debian.
PUSH_USER and PUSH_PASSWORD in the environment answer a server that demands a user and a password.
Ctrl-C or SIGTERM ends the push in good order: the exit status is 0. After an ERROR it is 1. A second Ctrl-C ends the
program at once.
"""

import os
import signal
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402 (the version has to be known before)

DEFAULT_LOCATION = "http://127.0.0.1:8080/live"

PIPELINE = """
    videotestsrc is-live=true ! wmspushbin name=push
    audiotestsrc is-live=true ! push.
"""

# Fields of a failure that are shown beside its text.
DETAILS = ("phase", "reason", "hresult-name", "http-status-code", "http-reason", "hint")

# The bit of GstWmsPushCredentialFlags.
CLEAR_TEXT = 1 << 1


class LivePush:
    """One push, from the first message to the last."""

    def __init__(self, location):
        self.pipeline = Gst.parse_launch(PIPELINE)
        self.sink = self.pipeline.get_by_name("push")
        self.sink.set_property("location", location)
        self.sink.connect("acquire-credentials", on_acquire_credentials)
        self.loop = GLib.MainLoop()
        self.playing = False
        self.ending = False
        self.ended_well = False

    def run(self):
        """Plays until EOS or ERROR."""
        bus = self.pipeline.get_bus()
        bus.add_watch(GLib.PRIORITY_DEFAULT, self.on_message)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.on_signal)
        # If this fails, an ERROR on the bus has the reason.
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        show_stats(self.sink.get_property("stats"))
        self.pipeline.set_state(Gst.State.NULL)
        return self.ended_well

    def on_message(self, _bus, message):
        show(message)
        if message.type in (Gst.MessageType.EOS, Gst.MessageType.ERROR):
            self.ended_well = message.type == Gst.MessageType.EOS
            self.loop.quit()
        elif message.type == Gst.MessageType.STATE_CHANGED and message.src == self.pipeline:
            _old, state, _pending = message.parse_state_changed()
            if state == Gst.State.PLAYING:
                self.on_playing()
        return GLib.SOURCE_CONTINUE

    def on_playing(self):
        self.playing = True
        if self.ending:
            self.send_eos()

    def on_signal(self, number, _frame):
        # Each signal is caught once: the next one ends the program, even while send_eos blocks.
        signal.signal(number, signal.SIG_DFL)
        GLib.idle_add(self.end)

    def end(self):
        if not self.ending:
            say("Ending the push; a second Ctrl-C quits at once")
            self.ending = True
            if self.playing:
                self.send_eos()
        return GLib.SOURCE_REMOVE

    def send_eos(self):
        """Only in PLAYING: an earlier EOS would deadlock with the pipeline."""
        self.pipeline.send_event(Gst.Event.new_eos())


def on_acquire_credentials(_sink, _realm, site, _user, flags, hresult):
    """Runs on a thread of its own, where PyGObject 3.42 cannot print flags: int() works everywhere."""
    say(f"CREDENTIALS {site} demands a user and a password")
    user, password = os.environ.get("PUSH_USER"), os.environ.get("PUSH_PASSWORD")
    refused = hresult != 0
    if refused or int(flags) & CLEAR_TEXT or not user or not password:
        return None
    credentials = Gst.Structure.new_empty("credentials")
    credentials.set_value("user", user)
    credentials.set_value("password", password)
    return credentials


def show(message):
    if message.type == Gst.MessageType.PROGRESS:
        kind, code, text = message.parse_progress()
        say(f"PROGRESS {code} {kind.value_nick}: {text}")
    elif message.type == Gst.MessageType.ELEMENT:
        show_status(message.get_structure())
    elif message.type == Gst.MessageType.WARNING:
        show_failure("WARNING", *message.parse_warning(), message.parse_warning_details())
    elif message.type == Gst.MessageType.ERROR:
        show_failure("ERROR", *message.parse_error(), message.parse_error_details())
    elif message.type == Gst.MessageType.EOS:
        say("EOS")


def show_status(status):
    # Other elements post messages as well.
    if status.get_name() != "wmspushsink-status":
        return
    fields = ("wmt-status-name", "previous-state", "state", "hresult-name", "reason")
    name, previous, state, hresult, reason = (status.get_string(field) for field in fields)
    say(f"STATUS {name} {previous} -> {state} {hresult} {reason}".rstrip())


def show_failure(kind, error, debug, details):
    """Other elements have a debug string instead of details."""
    say(f"{kind} {error.message}")
    if details:
        show_details(details)
    elif debug:
        say(f"    {debug}")


def show_details(details):
    """Fields that do not apply are 0 or empty."""
    for name in DETAILS:
        value = details.get_value(name) if details.has_field(name) else None
        if value:
            say(f"    {name}: {value}")


def show_stats(stats):
    for name in ("packets-sent", "bytes-sent"):
        say(f"{name}: {stats.get_value(name)}")


def say(line):
    # At once, also into a pipe, and in one piece, because handlers of signals print on other threads.
    print(f"{line}\n", end="", flush=True)


def main():
    Gst.init(None)
    location = sys.argv[1] if len(sys.argv) > 1 else DEFAULT_LOCATION
    try:
        push = LivePush(location)
    except GLib.Error as error:
        sys.exit(f"live_push: {error.message}")
    say("Ctrl-C ends the push")
    sys.exit(0 if push.run() else 1)


if __name__ == "__main__":
    main()
