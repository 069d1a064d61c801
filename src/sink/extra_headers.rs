// SPDX-License-Identifier: MPL-2.0

//! The property `extra-headers`, as `souphttpsrc` has it.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::location::SettingsError;
use crate::wmhttp::is_extra_header;

/// Returns the fields of `structure` as header fields of the same names, one for each value of a list or an array. The
/// values are marked as sensitive, because one may be an API key.
///
/// # Errors
///
/// [`SettingsError::ExtraHeader`] with the name of a field that cannot be sent, or that the protocol or authentication
/// sets.
pub(super) fn extra_headers(structure: &gst::StructureRef) -> Result<HeaderMap, SettingsError> {
    let mut headers = HeaderMap::new();
    for (field, value) in structure.iter() {
        let unusable = || SettingsError::ExtraHeader(field.to_string());
        let name = HeaderName::from_bytes(field.as_bytes()).map_err(|_| unusable())?;
        if !is_extra_header(&name) {
            return Err(unusable());
        }
        for text in texts(value).ok_or_else(unusable)? {
            let mut value = HeaderValue::from_str(&text).map_err(|_| unusable())?;
            value.set_sensitive(true);
            headers.append(name.clone(), value);
        }
    }
    Ok(headers)
}

/// Returns `structure` as an application reads it: without the values of fields whose name suggests a secret.
pub(super) fn shown(structure: &gst::StructureRef) -> gst::Structure {
    let mut shown = structure.to_owned();
    for field in structure.fields() {
        let name = field.to_ascii_lowercase();
        if SECRET_NAMES.iter().any(|part| name.contains(part)) {
            shown.set(field.as_str(), "…");
        }
    }
    shown
}

/// Parts of the names of fields that carry a secret
const SECRET_NAMES: [&str; 9] = [
    "auth",
    "cookie",
    "credential",
    "jwt",
    "key",
    "pass",
    "secret",
    "session",
    "token",
];

/// Returns the texts of a value, or of the values in it.
fn texts(value: &glib::Value) -> Option<Vec<String>> {
    if let Ok(values) = value.get::<gst::ArrayRef<'_>>() {
        return values.iter().map(|value| text(value)).collect();
    }
    if let Ok(values) = value.get::<gst::ListRef<'_>>() {
        return values.iter().map(|value| text(value)).collect();
    }
    Some(vec![text(value)?])
}

fn text(value: &glib::Value) -> Option<String> {
    value
        .transform::<String>()
        .ok()?
        .get::<Option<String>>()
        .ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_header_fields() {
        gst::init().unwrap();
        let structure = gst::Structure::builder("extra-headers")
            .field("X-Site", "studio 1")
            .field("X-Number", 7u32)
            .field("X-Many", gst::Array::new(["a", "b"]))
            .build();
        let headers = extra_headers(&structure).unwrap();
        assert_eq!(headers["x-site"], "studio 1");
        assert_eq!(headers["x-number"], "7");
        assert_eq!(headers.get_all("x-many").iter().count(), 2);
        assert!(!format!("{headers:?}").contains("studio"));
    }

    #[test]
    fn values_of_secret_fields_are_not_shown() {
        gst::init().unwrap();
        let structure = gst::Structure::builder("extra-headers")
            .field("X-Site", "studio 1")
            .field("X-API-Key", "s3cr@t")
            .field("X-Token", gst::Array::new(["s3cr@t", "t0k3n"]))
            .build();
        let expected = gst::Structure::builder("extra-headers")
            .field("X-Site", "studio 1")
            .field("X-API-Key", "…")
            .field("X-Token", "…")
            .build();
        assert_eq!(shown(&structure), expected);
    }

    #[test]
    fn fields_of_the_protocol_cannot_be_set() {
        gst::init().unwrap();
        for (name, value) in [
            ("Cookie", "push-id=1"),
            ("authorization", "Basic x"),
            ("Content-Length", "1"),
            ("X-Lines", "a\r\nX-Other: b"),
        ] {
            let structure = gst::Structure::builder("extra-headers").field(name, value);
            let error = extra_headers(&structure.build()).unwrap_err();
            assert_eq!(error, SettingsError::ExtraHeader(name.to_owned()));
        }
    }
}
