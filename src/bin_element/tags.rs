// SPDX-License-Identifier: MPL-2.0

//! Filters tags that make `asfmux` abort.
//!
//! `asfmux` aborts the process at a character outside the Basic Multilingual Plane, such as an emoji: it reserves one
//! UTF-16 code unit and writes two. It also aborts at a text whose length in bytes exceeds 16 bits.

use gst::prelude::*;

/// Replaces a character outside the Basic Multilingual Plane.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// Maximum characters of a text: a quarter of what fits, which keeps a header with several long texts small.
const LONGEST: usize = 8000;

/// Returns the text with those characters replaced and cut to [`LONGEST`]; `None` if neither is necessary.
fn in_basic_plane(text: &str) -> Option<String> {
    let is_outside = |character: char| character.len_utf16() > 1;
    let replaced = |character| match is_outside(character) {
        true => REPLACEMENT,
        false => character,
    };
    let is_long = text.len() > LONGEST && text.chars().nth(LONGEST).is_some();
    (is_long || text.contains(is_outside))
        .then(|| text.chars().take(LONGEST).map(replaced).collect())
}

/// Copies the tags that an application has set by `GstTagSetter`, filtered, to another element or to the same one.
pub(super) fn copy(from: &gst::Element, to: &gst::Element) {
    let Some(from) = from.dynamic_cast_ref::<gst::TagSetter>() else {
        return;
    };
    let Some(to) = to.dynamic_cast_ref::<gst::TagSetter>() else {
        return;
    };
    let Some(tags) = from.tag_list() else { return };
    let filtered = in_basic_plane_only(&tags);
    if filtered.is_none() && from == to {
        return;
    }
    let copied = filtered.unwrap_or_else(|| tags.copy());
    // A setter writes to its list, which a second reference prevents.
    drop(tags);
    to.merge_tags(&copied, gst::TagMergeMode::Replace);
}

/// Returns the tag list with filtered texts; `None` if no text changes.
pub(super) fn in_basic_plane_only(tags: &gst::TagListRef) -> Option<gst::TagList> {
    let text = |value: &glib::SendValue| value.get::<String>().ok();
    let has_outside = |value| text(value).is_some_and(|text| in_basic_plane(&text).is_some());
    if !tags
        .iter_generic()
        .any(|(_, mut values)| values.any(has_outside))
    {
        return None;
    }
    let mut filtered = gst::TagList::new();
    let writable = filtered.make_mut();
    writable.set_scope(tags.scope());
    for (name, values) in tags.iter_generic() {
        for value in values {
            let replaced = text(value).and_then(|text| in_basic_plane(&text));
            let value = replaced.map_or_else(|| value.clone(), |text| text.to_send_value());
            // Cannot fail: the tag comes from another list.
            let _ = writable.add_value(name, &value, gst::TagMergeMode::Append);
        }
    }
    Some(filtered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titled(title: &str) -> gst::TagList {
        gst::init().unwrap();
        let mut tags = gst::TagList::new();
        let writable = tags.make_mut();
        writable.add::<gst::tags::Title>(&title, gst::TagMergeMode::Append);
        writable.add::<gst::tags::TrackNumber>(&7, gst::TagMergeMode::Append);
        tags
    }

    #[test]
    fn emoji_in_a_title_are_replaced() {
        let tags = titled("Äé漢 🎬 film");
        let filtered = in_basic_plane_only(&tags).unwrap();
        let title = filtered.get::<gst::tags::Title>().unwrap();
        assert_eq!(title.get(), "Äé漢 \u{FFFD} film");
        assert_eq!(filtered.get::<gst::tags::TrackNumber>().unwrap().get(), 7);
    }

    #[test]
    fn long_texts_are_cut() {
        let filtered = in_basic_plane_only(&titled(&"漢".repeat(70_000))).unwrap();
        let title = filtered.get::<gst::tags::Title>().unwrap();
        assert_eq!(title.get(), "漢".repeat(LONGEST));
        assert!(in_basic_plane_only(&titled(&"漢".repeat(LONGEST))).is_none());
    }

    #[test]
    fn other_tags_stay_as_they_are() {
        assert!(in_basic_plane_only(&titled("Äé漢 film")).is_none());
    }
}
