#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""What PyGObject sees of the elements, one line for each thing."""

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GObject, Gst

MUTABLE_READY, MUTABLE_PLAYING = 1 << 10, 1 << 12


def default(element, spec):
    # PyGObject 3.50 and newer have no attribute for boxed types, and numbers for enums and flags.
    value = getattr(spec, "default_value", None)
    if any(spec.value_type.is_a(kind) for kind in (GObject.TYPE_ENUM, GObject.TYPE_FLAGS)):
        value = type(element.get_property(spec.name))(value)
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


def own_properties(element):
    own = [spec for spec in element.list_properties() if spec.owner_type == element.__gtype__]
    return {spec.name: spec for spec in own}


def show(kind, element, spec):
    text = default(element, spec) if spec.name != "user-agent" else "…"
    print(kind, spec.name, spec.value_type.name, text, access(spec), mutability(spec), sep="\t")


def show_bin(sink):
    """What the bin has beside the properties and signals of the sink, and what it lacks of them."""
    element = Gst.ElementFactory.make("wmspushbin")
    of_bin, of_sink = own_properties(element), own_properties(sink)
    for name in sorted(of_bin.keys() - of_sink.keys()):
        show("bin-property", element, of_bin[name])
    for name in sorted(of_sink.keys() - of_bin.keys()):
        print("bin-lacks", name, sep="\t")
    for name in sorted(set(GObject.signal_list_names(sink)) - set(GObject.signal_list_names(element))):
        print("bin-lacks", name, sep="\t")
    for template in element.get_pad_template_list():
        print("bin-pad", template.name_template, template.presence.value_nick, sep="\t")


def main():
    Gst.init(None)
    sink = Gst.ElementFactory.make("wmspushsink")
    for _, spec in sorted(own_properties(sink).items()):
        show("property", sink, spec)
    for name in sorted(GObject.signal_list_names(sink)):
        query = GObject.signal_query(name, sink)
        arguments = ",".join(type_.name for type_ in query.param_types)
        action = "action" if query.signal_flags & GObject.SignalFlags.ACTION else "signal"
        print(action, name, arguments or "-", query.return_type.name, sep="\t")
    stats = sink.get_property("stats")
    for number in range(stats.n_fields()):
        name = stats.nth_field_name(number)
        print("stats", name, stats.get_field_type(name).name, sep="\t")
    show_bin(sink)


main()
