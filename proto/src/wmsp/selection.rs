// SPDX-License-Identifier: MPL-2.0

use http::HeaderMap;

use super::pragma::token;

/// 2.2.1.4.27 stream-switch-entry: the streams that a player selects.
///
/// A player that names no stream gets all streams. By 3.2.5.6 Receiving a Play Request it would get none, but no server
/// does that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Selected stream numbers as a bit set, 1 to 127; `None`: all streams.
    only: Option<u128>,
}

impl Selection {
    /// Returns the selection of a Play request. Malformed entries are ignored.
    pub fn of(headers: &HeaderMap) -> Self {
        let entries = token(headers, "stream-switch-entry").map(|entries| {
            let entries = entries.split_whitespace().filter_map(entry);
            entries.fold(None, |selected, (stream, is_wanted)| {
                let bit = 1u128.wrapping_shl(stream & 0x7f);
                let selected: u128 = selected.unwrap_or_default();
                Some(if is_wanted {
                    selected | bit
                } else {
                    selected & !bit
                })
            })
        });
        Self {
            only: entries.flatten(),
        }
    }

    /// Returns whether every stream is selected.
    pub fn is_all(self) -> bool {
        self.only.is_none()
    }

    /// Returns whether this stream is selected.
    pub fn has(self, stream: u8) -> bool {
        let bit = 1u128.wrapping_shl(u32::from(stream & 0x7f));
        self.only.is_none_or(|only| only & bit != 0)
    }
}

/// Parses `ffff:2:0`: returns the stream to switch to, and whether it is selected. Thinning to key frames (1) is not
/// supported.
fn entry(text: &str) -> Option<(u32, bool)> {
    let mut numbers = text
        .split(':')
        .map(|number| u32::from_str_radix(number, 16));
    let (Ok(_), Ok(stream @ 1..=127), Ok(level @ 0..=2)) =
        (numbers.next()?, numbers.next()?, numbers.next()?)
    else {
        return None;
    };
    Some((stream, level != 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(entries: &str) -> Selection {
        let mut headers = HeaderMap::new();
        let value = format!("stream-switch-entry={entries}");
        headers.insert("pragma", value.parse().unwrap());
        Selection::of(&headers)
    }

    /// The example of 2.2.1.4.27 stream-switch-entry, and its hexadecimal numbers
    #[test]
    fn streams_are_turned_on_and_off() {
        let selection = selected("ffff:1:0 ffff:a:1 ffff:3:2 ");
        assert!(!selection.is_all());
        let streams: Vec<_> = (1..128).filter(|stream| selection.has(*stream)).collect();
        assert_eq!(streams, [1, 10]);
        assert!(!selected("ffff:2:2").has(2));
    }

    #[test]
    fn an_empty_selection_means_all_streams() {
        assert!(Selection::of(&HeaderMap::new()).is_all());
        for entries in ["", "x", "ffff:1", "ffff:0:0", "ffff:80:0", "ffff:1:3"] {
            assert!(selected(entries).is_all(), "{entries}");
        }
    }
}
