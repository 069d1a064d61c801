// SPDX-License-Identifier: MPL-2.0

// What gjs sees of the elements, one line for each thing.

imports.gi.versions.Gst = "1.0";
const { GObject, Gst } = imports.gi;

const MUTABLE_READY = 1 << 10;
const MUTABLE_PLAYING = 1 << 12;

function access(spec) {
    const readable = spec.flags & GObject.ParamFlags.READABLE ? "r" : "";
    const writable = spec.flags & GObject.ParamFlags.WRITABLE ? "w" : "";
    return readable + writable;
}

function mutability(spec) {
    if (spec.flags & MUTABLE_PLAYING)
        return "playing";
    return spec.flags & MUTABLE_READY ? "ready" : "-";
}

Gst.init(null);
const sink = Gst.ElementFactory.make("wmspushsink", null);

function ownProperties(element, type) {
    return GObject.Object.list_properties.call(element.constructor)
        .filter(spec => GObject.type_name(spec.owner_type) === type)
        .sort((one, other) => (one.name < other.name ? -1 : 1));
}

function show(kind, spec) {
    const type = GObject.type_name(spec.value_type);
    print([kind, spec.name, type, access(spec), mutability(spec)].join("\t"));
}

const own = ownProperties(sink, "GstWmsPushSink");
own.forEach(spec => show("property", spec));

// What the bin has beside the properties of the sink, and what it lacks of them.
const bin = Gst.ElementFactory.make("wmspushbin", null);
const names = specs => new Set(specs.map(spec => spec.name));
const ofBin = ownProperties(bin, "GstWmsPushBin");
ofBin.filter(spec => !names(own).has(spec.name)).forEach(spec => show("bin-property", spec));
own.filter(spec => !names(ofBin).has(spec.name)).forEach(spec => print(`bin-lacks\t${spec.name}`));

const stats = sink.stats;
for (let number = 0; number < stats.n_fields(); number++) {
    const name = stats.nth_field_name(number);
    print(["stats", name, GObject.type_name(stats.get_field_type(name))].join("\t"));
}
