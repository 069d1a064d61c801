// SPDX-License-Identifier: MPL-2.0

//! The sink's public face on the bin.

use std::sync::{Arc, Mutex};

use gst::prelude::*;

use super::rig::{Pipeline, Point, init};

fn bin() -> gst::Element {
    init();
    gst::ElementFactory::make("wmspushbin").build().unwrap()
}

fn own_properties(element: &gst::Element) -> Vec<glib::ParamSpec> {
    let specs = element.list_properties().to_vec();
    let own = specs
        .into_iter()
        .filter(|spec| spec.owner_type() == element.type_());
    own.collect()
}

#[test]
fn each_property_of_the_sink_is_forwarded() {
    let bin = bin();
    let sink = bin
        .downcast_ref::<gst::Bin>()
        .unwrap()
        .by_name("sink")
        .unwrap();
    for spec in own_properties(&sink) {
        let forwarded = bin.find_property(spec.name()).unwrap();
        assert_eq!(forwarded.value_type(), spec.value_type());
        assert_eq!(forwarded.flags(), spec.flags(), "{}", spec.name());
        assert_eq!(forwarded.blurb(), spec.blurb());
    }
    bin.set_property("location", "http://user:secret@server/live");
    bin.set_property("stall-timeout", 7u32);
    assert_eq!(sink.property::<String>("user-id"), "user");
    assert_eq!(sink.property::<u32>("stall-timeout"), 7);
    sink.set_property("timeout", 8u32);
    assert_eq!(bin.property::<u32>("timeout"), 8);
    let shown = bin.property::<String>("location");
    assert_eq!(shown, "http://server/live");
}

#[test]
fn the_sink_is_a_child() {
    let bin = bin();
    let proxy = bin
        .downcast_ref::<gst::Bin>()
        .unwrap()
        .upcast_ref::<gst::Object>();
    let proxy = proxy.dynamic_cast_ref::<gst::ChildProxy>().unwrap();
    proxy.set_child_property("sink::eos-timeout", 9u32);
    assert_eq!(bin.property::<u32>("eos-timeout"), 9);
}

#[test]
fn changes_of_the_sink_are_notified() {
    let point = Point::new("notify");
    let pipeline = Pipeline::new(
        &point,
        "audiotestsrc num-buffers=20 ! wmspushbin name=bin sync=false",
    );
    let states = Arc::new(Mutex::new(Vec::new()));
    let noted = states.clone();
    pipeline
        .bin
        .connect_notify(Some("session-state"), move |bin, _| {
            let state = bin.property_value("session-state").serialize().unwrap();
            noted.lock().unwrap().push(state.to_string());
        });
    assert_eq!(pipeline.run(), [""; 0]);
    let states = states.lock().unwrap();
    // A handler may read a newer state than the one that it is called for.
    assert!(states.len() >= 4, "{states:?}");
    assert_eq!(states.last().map(String::as_str), Some("ended"));
    let stats = pipeline.bin.property::<gst::Structure>("stats");
    assert!(stats.get::<u64>("packets-sent").unwrap() > 0);
}

#[test]
fn actions_and_signals_are_those_of_the_sink() {
    let bin = bin();
    assert!(!bin.emit_by_name::<bool>("end-session", &[]));
    assert!(!bin.emit_by_name::<bool>("disconnect", &[]));
    let point = Point::new("probe");
    bin.set_property("location", point.url());
    let probed = bin.emit_by_name::<gst::Structure>("probe", &[]);
    assert!(probed.n_fields() > 0);
    let asked = Arc::new(Mutex::new(0));
    let counted = asked.clone();
    bin.connect("acquire-credentials", false, move |arguments| {
        assert_eq!(arguments[2].get::<String>().unwrap(), "site");
        *counted.lock().unwrap() += 1;
        let answer = gst::Structure::builder("credentials")
            .field("user", "me")
            .build();
        Some(Some(answer).to_value())
    });
    let sink = bin
        .downcast_ref::<gst::Bin>()
        .unwrap()
        .by_name("sink")
        .unwrap();
    let flags = glib::Value::from_type(glib::Type::from_name("GstWmsPushCredentialFlags").unwrap());
    let (realm, site, user, status) = (
        "realm".to_value(),
        "site".to_value(),
        None::<&str>.to_value(),
        0u32.to_value(),
    );
    let answer =
        sink.emit_by_name_with_values("acquire-credentials", &[realm, site, user, flags, status]);
    let answer = answer
        .unwrap()
        .get::<Option<gst::Structure>>()
        .unwrap()
        .unwrap();
    assert_eq!(answer.get::<&str>("user").unwrap(), "me");
    assert_eq!(*asked.lock().unwrap(), 1);
}
