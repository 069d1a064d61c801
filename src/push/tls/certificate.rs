// SPDX-License-Identifier: MPL-2.0

//! Fields of X.509 certificates (RFC 5280 section 4.1) that rustls does not expose.

use rustls::pki_types::UnixTime;

const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0] EXPLICIT Version`
const VERSION: u8 = 0xa0;

/// X.520 commonName, 2.5.4.3
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// Fields of a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    /// Its issuer is its subject (4.1.2.4, 4.1.2.6).
    pub(super) is_self_signed: bool,
    /// The first and the last moment of its validity (4.1.2.5).
    pub(super) validity: [UnixTime; 2],
    /// The last common name of its subject (4.1.2.6).
    pub(super) common_name: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// Reads the fields of a certificate in DER; `None` if it is malformed.
    pub(super) fn parse(certificate: &'a [u8]) -> Option<Self> {
        let mut outer = Reader(certificate);
        let mut certificate = Reader(outer.read(SEQUENCE)?);
        let mut body = Reader(certificate.read(SEQUENCE)?);
        if body.0.first() == Some(&VERSION) {
            body.read(VERSION)?;
        }
        body.read(INTEGER)?;
        let _signature_algorithm = body.read(SEQUENCE)?;
        let issuer = body.read(SEQUENCE)?;
        let mut validity = Reader(body.read(SEQUENCE)?);
        let validity = [time(&mut validity)?, time(&mut validity)?];
        let subject = body.read(SEQUENCE)?;
        let common_name = common_name(Reader(subject));
        Some(Self {
            is_self_signed: issuer == subject,
            validity,
            common_name,
        })
    }
}

/// The unread rest of a series of DER elements (X.690 section 8.1).
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Returns the tag and the contents of the next element.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let value = |value: usize, byte: &u8| (value << 8) | usize::from(*byte);
                (length.iter().fold(0, value), rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, contents))
    }

    /// Returns the contents of the next element, which must have this tag.
    fn read(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (other, contents) = self.next()?;
        (other == tag).then_some(contents)
    }
}

/// Reads the common name of a Name: a SEQUENCE of SETs of attributes.
fn common_name(mut name: Reader<'_>) -> Option<&str> {
    let mut found = None;
    while let Some(attributes) = name.read(SET) {
        let mut attributes = Reader(attributes);
        while let Some(attribute) = attributes.read(SEQUENCE) {
            let mut attribute = Reader(attribute);
            if attribute.read(OBJECT_IDENTIFIER) != Some(&COMMON_NAME) {
                continue;
            }
            if let Some((UTF8_STRING | PRINTABLE_STRING | IA5_STRING, text)) = attribute.next() {
                found = std::str::from_utf8(text).ok();
            }
        }
    }
    found
}

/// Reads a Time in either form (RFC 5280 sections 4.1.2.5.1 and 4.1.2.5.2).
fn time(elements: &mut Reader<'_>) -> Option<UnixTime> {
    let (tag, text) = elements.next()?;
    let digits = text.strip_suffix(b"Z")?;
    let (year, rest) = match tag {
        UTC_TIME => digits.split_at_checked(2)?,
        GENERALIZED_TIME => digits.split_at_checked(4)?,
        _ => return None,
    };
    let year = match (tag, number(year)?) {
        (UTC_TIME, year @ ..50) => 2000 + year,
        (UTC_TIME, year) => 1900 + year,
        (_, year) => year,
    };
    let (parts, []) = rest.as_chunks::<2>() else {
        return None;
    };
    let [month, day, hour, minute, second] = parts else {
        return None;
    };
    let day = days_since_1970(year, number(month)?, number(day)?)?;
    let clock = number(hour)? * 3600 + number(minute)? * 60 + number(second)?;
    let seconds = u64::try_from(day * 86_400 + clock).unwrap_or(0);
    Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(
        seconds,
    )))
}

/// Parses up to four decimal digits.
fn number(digits: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(digits).ok()?;
    let is_number = text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// Returns the days from 1 January 1970 to a date of the Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // In years that begin in March, the leap day is the last day.
    let (year, month) = match month {
        3.. => (year, month - 3),
        _ => (year - 1, month + 9),
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = year * 365 + leap_days + (153 * month + 2) / 5 + day - 1;
    Some(days - 719_468)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::testing::self_signed;
    use super::*;

    fn unix(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    fn parsed(tag: u8, text: &str) -> Option<UnixTime> {
        let length = u8::try_from(text.len()).unwrap();
        time(&mut Reader(&[&[tag, length], text.as_bytes()].concat()))
    }

    #[test]
    fn both_forms_of_times_are_read() {
        for (tag, text, seconds) in [
            (UTC_TIME, "700101000000Z", 0),
            (UTC_TIME, "000229235959Z", 951_868_799),
            (UTC_TIME, "491231235959Z", 2_524_607_999),
            (UTC_TIME, "500101000000Z", 0),
            (GENERALIZED_TIME, "20500101000000Z", 2_524_608_000),
            (GENERALIZED_TIME, "21000301000000Z", 4_107_542_400),
            (GENERALIZED_TIME, "99991231235959Z", 253_402_300_799),
        ] {
            assert_eq!(parsed(tag, text), Some(unix(seconds)), "{text}");
        }
        for text in [
            "",
            "Z",
            "700101000000",
            "7001010000Z",
            "+0010100000Z",
            "701301000000Z",
        ] {
            assert_eq!(parsed(UTC_TIME, text), None, "{text}");
        }
    }

    #[test]
    fn the_fields_of_a_certificate_are_read() {
        let made = self_signed(&["-subj", "/O=Studio/CN=media.example"]);
        let certificate = made.certificate();
        let fields = Fields::parse(&certificate).unwrap();
        assert_eq!(fields.common_name, Some("media.example"));
        assert!(fields.is_self_signed);
        let [first, last] = fields.validity.map(|time| time.as_secs());
        assert_eq!(last - first, 2 * 86_400);
        let age = UnixTime::now().as_secs() - first;
        assert!(age < 600, "{age}");
    }

    proptest! {
        #[test]
        fn damaged_certificates_do_not_panic(
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            length in any::<prop::sample::Index>(),
        ) {
            static MADE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
            let mut bytes = MADE.get_or_init(|| self_signed(&[]).certificate().to_vec()).clone();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            bytes.truncate(length.index(bytes.len()) + 1);
            let _ = Fields::parse(&bytes);
        }
    }
}
