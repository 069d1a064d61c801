// SPDX-License-Identifier: MPL-2.0

//! Names of publishing points.

use std::fmt::Write as _;

/// Returns the name of the publishing point at a path of a Request-URI.
///
/// Clients escape the same path in different ways: RFC 3986 sections 6.2.2.1 and 6.2.2.2 make `/%6c%C3%A4`, `/l%c3%a4` and
/// the raw `/lä` of some players equal. The name is the readable form. Characters that are reserved, invisible or change
/// the direction of text stay escaped, or become so.
pub fn point_name(path: &str) -> String {
    let bytes = unescaped(path.as_bytes());
    let mut name = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_readable(character) {
                name.push(character);
            } else {
                escape(character.encode_utf8(&mut [0; 4]).as_bytes(), &mut name);
            }
        }
        escape(chunk.invalid(), &mut name);
    }
    name
}

/// Decodes the escapes of unreserved characters and of bytes above ASCII. The others get upper-case digits.
fn unescaped(mut path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    while let Some((&first, rest)) = path.split_first() {
        path = match (first, rest) {
            (b'%', [high, low, rest @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let byte = digit(*high) << 4 | digit(*low);
                let is_unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
                if is_unreserved || !byte.is_ascii() {
                    bytes.push(byte);
                } else {
                    let escape = [b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()];
                    bytes.extend_from_slice(&escape);
                }
                rest
            }
            _ => {
                bytes.push(first);
                rest
            }
        };
    }
    bytes
}

/// Returns the value of a hexadecimal digit.
fn digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit & 0x0F,
        _ => (digit & 0x0F).wrapping_add(9),
    }
}

fn escape(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "%{byte:02X}");
    }
}

/// Returns whether a character is visible and changes nothing around it.
fn is_readable(character: char) -> bool {
    let is_format = matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffd}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    !character.is_control() && (character == ' ' || !character.is_whitespace()) && !is_format
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 3986 section 6.2.2
    #[test]
    fn escapes_of_the_same_path_are_one_name() {
        for (path, name) in [
            ("/live", "/live"),
            ("/l%69ve", "/live"),
            ("/l%c3%A4", "/lä"),
            ("/lä", "/lä"),
            ("/%E7%94%9F", "/生"),
            ("/a%2fb%3C", "/a%2Fb%3C"),
            ("/a%20b", "/a%20b"),
            ("/100%", "/100%"),
            ("/%zz%4", "/%zz%4"),
            ("/%E4", "/%E4"),
            ("/a%E2%80%AEb\u{202e}", "/a%E2%80%AEb%E2%80%AE"),
            ("/%00%0A%1b", "/%00%0A%1B"),
            ("//", "//"),
        ] {
            assert_eq!(point_name(path), name, "{path}");
        }
    }

    proptest! {
        #[test]
        fn names_have_neither_control_characters_nor_unbounded_length(path in ".{0,100}") {
            let name = point_name(&path);
            prop_assert!(!name.chars().any(char::is_control));
            prop_assert!(name.len() <= 3 * path.len());
        }
    }
}
