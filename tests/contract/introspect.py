#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""What PyGObject sees of the element, one line for each thing."""

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GObject, Gst

MUTABLE_READY, MUTABLE_PLAYING = 1 << 10, 1 << 12


def default(spec):
    value = spec.default_value
    if isinstance(value, GObject.GEnum):
        return value.value_nick
    if isinstance(value, GObject.GFlags):
        return "+".join(value.value_nicks)
    if isinstance(value, bool):
        return str(value).lower()
    return "-" if value is None else str(value)


def access(spec):
    letters = [
        (GObject.ParamFlags.READABLE, "r"),
        (GObject.ParamFlags.WRITABLE, "w"),
    ]
    return "".join(letter for flag, letter in letters if spec.flags & flag)


def mutability(spec):
    flags = int(spec.flags)
    if flags & MUTABLE_PLAYING:
        return "playing"
    return "ready" if flags & MUTABLE_READY else "-"


def main():
    Gst.init(None)
    sink = Gst.ElementFactory.make("wmspushsink")
    own = [spec for spec in sink.list_properties() if spec.owner_type.name == "GstWmsPushSink"]
    for spec in sorted(own, key=lambda spec: spec.name):
        text = default(spec) if spec.name != "user-agent" else "…"
        print("property", spec.name, spec.value_type.name, text, access(spec), mutability(spec), sep="\t")
    for name in sorted(GObject.signal_list_names(sink)):
        query = GObject.signal_query(name, sink)
        arguments = ",".join(type_.name for type_ in query.param_types)
        action = "action" if query.signal_flags & GObject.SignalFlags.ACTION else "signal"
        print(action, name, arguments or "-", query.return_type.name, sep="\t")
    stats = sink.get_property("stats")
    for number in range(stats.n_fields()):
        name = stats.nth_field_name(number)
        print("stats", name, stats.get_field_type(name).name, sep="\t")


main()
