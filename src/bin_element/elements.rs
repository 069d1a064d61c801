// SPDX-License-Identifier: MPL-2.0

//! The standard elements of the bin, and messages about missing ones.

use gst::prelude::*;

use super::WmsPushBin;
use super::tags;

/// Debian's package of an element, by the prefix of its name.
const PACKAGES: [(&str, &str); 6] = [
    ("avenc_", "gstreamer1.0-libav"),
    ("asfmux", "gstreamer1.0-plugins-bad"),
    ("deinterlace", "gstreamer1.0-plugins-good"),
    ("video", "gstreamer1.0-plugins-base"),
    ("audio", "gstreamer1.0-plugins-base"),
    ("", "libgstreamer1.0-0"),
];

/// An element that is not installed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing(String);

impl Missing {
    fn package(&self) -> &'static str {
        let mut packages = PACKAGES.iter();
        let found = packages.find(|(start, _)| self.0.starts_with(start));
        found.map_or("", |(_, package)| package)
    }

    /// Posts the `missing-plugin` message for plugin installers, and the ERROR.
    pub(super) fn post(&self, bin: &WmsPushBin) {
        let (element, package) = (self.0.as_str(), self.package());
        let structure = gst::Structure::builder("missing-plugin")
            .field("type", "element")
            .field("detail", element)
            .field("name", format!("GStreamer element {element}"))
            .build();
        let message = gst::message::Element::builder(structure).src(bin).build();
        // Fails only without a bus.
        let _ = bin.post_message(message);
        gst::element_error!(
            bin,
            gst::CoreError::MissingPlugin,
            ("The GStreamer element {element} is missing. Install the package {package} (Debian, Ubuntu).")
        );
    }
}

/// Creates an element.
///
/// # Errors
///
/// [`Missing`] if it is not installed.
pub(super) fn make(factory: &str) -> Result<gst::Element, Missing> {
    let made = gst::ElementFactory::make(factory).build();
    made.map_err(|_| Missing(factory.to_owned()))
}

/// Returns the application's element, or a copy of it if it is in use.
///
/// # Errors
///
/// As [`copy_of`].
pub(super) fn instance_of(prototype: &gst::Element) -> Result<gst::Element, Missing> {
    match prototype.parent() {
        None => {
            // Locked if it was used before.
            prototype.set_locked_state(false);
            Ok(prototype.clone())
        }
        Some(_) => copy_of(prototype),
    }
}

/// Stops an element that is removed from the bin afterwards. Its lock keeps a state change of the bin, on another
/// thread, from starting it again.
pub(super) fn stop(element: &gst::Element) {
    element.set_locked_state(true);
    // A state change to NULL does not fail.
    let _ = element.set_state(gst::State::Null);
}

/// Creates an element with the type and the properties of another one.
///
/// # Errors
///
/// [`Missing`] if no factory creates elements of its type.
pub(super) fn copy_of(prototype: &gst::Element) -> Result<gst::Element, Missing> {
    let factory = prototype.factory();
    let factory = factory.ok_or_else(|| Missing(prototype.type_().name().to_owned()))?;
    let copy = make(&factory.name())?;
    for spec in prototype.list_properties() {
        let access = glib::ParamFlags::READWRITE;
        let is_settable = spec.flags().contains(access)
            && !spec.flags().contains(glib::ParamFlags::CONSTRUCT_ONLY)
            && !matches!(spec.name(), "name" | "parent");
        if is_settable {
            copy.set_property_from_value(spec.name(), &prototype.property_value(spec.name()));
        }
    }
    tags::copy(prototype, &copy);
    Ok(copy)
}

/// Sets a property that the element may lack: in some versions, or because it is the application's.
pub(super) fn set_if_present(element: &gst::Element, name: &str, value: impl Into<glib::Value>) {
    if let Some(spec) = element.find_property(name)
        && let Ok(value) = value.into().transform_with_type(spec.value_type())
    {
        element.set_property_from_value(name, &value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_element_has_a_package() {
        let package = |element: &str| Missing(element.to_owned()).package();
        assert_eq!(package("avenc_wmv2"), "gstreamer1.0-libav");
        assert_eq!(package("asfmux"), "gstreamer1.0-plugins-bad");
        assert_eq!(package("deinterlace"), "gstreamer1.0-plugins-good");
        assert_eq!(package("videoscale"), "gstreamer1.0-plugins-base");
        assert_eq!(package("queue"), "libgstreamer1.0-0");
    }
}
