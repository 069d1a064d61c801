// SPDX-License-Identifier: MPL-2.0

//! NTLM (MS-NLMP) with NTLMv2 responses; the messages are those of `ntlmclient`.
//!
//! The crate's own responder is not used: it draws its client challenge itself, and puts the session key into the
//! message. This module implements MS-NLMP 3.3.2 on top of the crate's NTOWFv2.
//!
//! Messages carry no MIC and no workstation name. Nothing is signed or sealed, because HTTP needs authentication only.

use std::time::{Duration, SystemTime};

use hmac::{Hmac, Mac};
use md5::Md5;
use ntlmclient::{
    AuthenticateMessage, ChallengeMessage, Flags, Message, OsVersion, TargetInfoEntry,
    TargetInfoType,
};

use super::Credentials;

/// 2.2.1.1 NEGOTIATE_MESSAGE, with the bytes of example 4.8 of MS-WMHTTP.
///
/// It has the Version field, because some servers refuse a message without it.
pub(super) const NEGOTIATE: &[u8; 40] = b"NTLMSSP\0\
    \x01\0\0\0\
    \x07\x82\x08\xa2\
    \0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\
    \x05\x01\x28\x0a\0\0\0\x0f";

/// The flags of [`NEGOTIATE`]
const OFFERED: Flags = Flags::NEGOTIATE_UNICODE
    .union(Flags::NEGOTIATE_OEM)
    .union(Flags::REQUEST_TARGET)
    .union(Flags::NEGOTIATE_NTLM)
    .union(Flags::NEGOTIATE_ALWAYS_SIGN)
    .union(Flags::NEGOTIATE_NTLM2_KEY)
    .union(Flags::NEGOTIATE_VERSION)
    .union(Flags::NEGOTIATE_128BIT)
    .union(Flags::NEGOTIATE_56BIT);

/// The version of [`NEGOTIATE`]
const VERSION: OsVersion = OsVersion {
    major_version: 5,
    minor_version: 1,
    build_number: 2600,
    reserved: [0; 3],
    ntlm_revision: 15,
};

/// Bytes of a [`ServerChallenge`] that has neither Version nor payload
const WITHOUT_VERSION: usize = 48;
/// Bytes of a [`ServerChallenge`] without payload
const WITH_VERSION: usize = 56;

/// Bytes of a user, domain or host name, at most: the lengths in a message have 16 bits.
const MAX_NAME: usize = 1024;

/// Seconds from 1601-01-01 to 1970-01-01
const UNIX_EPOCH: Duration = Duration::from_secs(11_644_473_600);

/// 2.2.1.2 CHALLENGE_MESSAGE
pub(super) struct ServerChallenge(ChallengeMessage);

impl ServerChallenge {
    /// Parses the message; `None` if it is incomplete or another one.
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        // The Version field is optional, but the crate requires it.
        let mut message = message.to_vec();
        if (WITHOUT_VERSION..WITH_VERSION).contains(&message.len()) {
            message.resize(WITH_VERSION, 0);
        }
        match Message::try_from(message.as_slice()).ok()? {
            Message::Challenge(challenge) => Some(Self(challenge)),
            _ => None,
        }
    }

    /// Returns 2.2.1.3 AUTHENTICATE_MESSAGE, the answer for the service `HTTP/host`.
    ///
    /// `None` if a name is longer than [`MAX_NAME`].
    pub(super) fn answer(
        &self,
        credentials: &Credentials,
        host: &str,
        now: SystemTime,
        client_challenge: [u8; 8],
    ) -> Option<Vec<u8>> {
        let domain = credentials.domain().unwrap_or_default();
        let names = [credentials.user(), domain, host];
        if names.iter().any(|name| name.len() > MAX_NAME) {
            return None;
        }
        let timestamp = self.timestamp();
        let time = timestamp.unwrap_or_else(|| file_time(now));
        let key = response_key(credentials);
        let nt = nt_response(
            &key,
            self.0.challenge,
            client_challenge,
            time,
            &self.target_info(host),
        )?;
        // 3.1.5.1.2 Client Receives a CHALLENGE_MESSAGE from the Server: there is no LMv2 response if the server sent
        // the time.
        let lm = match timestamp {
            Some(_) => vec![0; 24],
            None => lm_response(&key, self.0.challenge, client_challenge)?,
        };
        let message = Message::Authenticate(AuthenticateMessage {
            lm_response: lm,
            ntlm_response: nt,
            domain_name: domain.to_owned(),
            user_name: credentials.user().to_owned(),
            workstation_name: String::new(),
            session_key: Vec::new(),
            flags: self.flags(),
            os_version: VERSION,
        });
        message.to_bytes().ok()
    }

    /// Returns the flags that both sides support.
    fn flags(&self) -> Flags {
        let mut flags = self.0.flags & OFFERED.union(Flags::NEGOTIATE_TARGET_INFO);
        if flags.contains(Flags::NEGOTIATE_UNICODE) {
            flags.remove(Flags::NEGOTIATE_OEM);
        }
        flags
    }

    /// Returns the server's MsvAvTimestamp.
    fn timestamp(&self) -> Option<u64> {
        let entries = &self.0.target_information;
        let entry = entries
            .iter()
            .find(|entry| entry.entry_type == TargetInfoType::Timestamp)?;
        Some(u64::from_le_bytes(entry.data.as_slice().try_into().ok()?))
    }

    /// Returns the server's AV_PAIRs followed by MsvAvTargetName and MsvAvEOL.
    fn target_info(&self, host: &str) -> Vec<u8> {
        let theirs = self.0.target_information.iter().filter(|entry| {
            !matches!(
                entry.entry_type,
                TargetInfoType::Terminator | TargetInfoType::TargetName
            )
        });
        let mut bytes: Vec<u8> = theirs.flat_map(TargetInfoEntry::to_bytes).collect();
        if !bytes.is_empty() {
            let name =
                TargetInfoEntry::from_string(TargetInfoType::TargetName, &format!("HTTP/{host}"));
            bytes.extend(name.to_bytes());
        }
        bytes.extend([0; 4]);
        bytes
    }
}

/// NTOWFv2
fn response_key(credentials: &Credentials) -> [u8; 16] {
    let mut credentials = ntlmclient::Credentials {
        username: credentials.user().to_owned(),
        domain: credentials.domain().unwrap_or_default().to_owned(),
        password: credentials.password().expose().to_owned(),
    };
    let key = ntlmclient::ntlm_v2_password_func(&credentials);
    // `Password` overwrites its memory when it is dropped.
    drop(super::Password::from(std::mem::take(
        &mut credentials.password,
    )));
    key
}

/// The NtChallengeResponse of 3.3.2 NTLM v2 Authentication
fn nt_response(
    key: &[u8; 16],
    server_challenge: [u8; 8],
    client_challenge: [u8; 8],
    time: u64,
    target_info: &[u8],
) -> Option<Vec<u8>> {
    let mut temp = vec![1, 1, 0, 0, 0, 0, 0, 0];
    temp.extend(time.to_le_bytes());
    temp.extend(client_challenge);
    temp.extend([0; 4]);
    temp.extend(target_info);
    temp.extend([0; 4]);
    let mut response = hmac_md5(key, &[&server_challenge, &temp])?;
    response.append(&mut temp);
    Some(response)
}

/// The LmChallengeResponse of 3.3.2 NTLM v2 Authentication
fn lm_response(
    key: &[u8; 16],
    server_challenge: [u8; 8],
    client_challenge: [u8; 8],
) -> Option<Vec<u8>> {
    let mut response = hmac_md5(key, &[&server_challenge, &client_challenge])?;
    response.extend(client_challenge);
    Some(response)
}

fn hmac_md5(key: &[u8; 16], parts: &[&[u8]]) -> Option<Vec<u8>> {
    let mut mac = <Hmac<Md5> as Mac>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().to_vec())
}

/// 2.3.3 FILETIME (MS-DTYP): units of 100 nanoseconds since 1601
fn file_time(now: SystemTime) -> u64 {
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .saturating_add(UNIX_EPOCH);
    let units = since.as_nanos().checked_div(100).unwrap_or_default();
    u64::try_from(units).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;

    use super::*;

    const CHALLENGE_4_8: &str = "TlRMTVNTUAACAAAADgAOADgAAAAFgoqio8hNyf74ihkAAAAAAAAAAFgAWABGAAAABgBkFgAAAA9XAE0AUwAyADIAMAA1AAIADgBXAE0AUwAyADIAMAA1AAEADgBXAE0AUwAyADIAMAA1AAQADgBXAE0AUwAyADIAMAA1AAMADgBXAE0AUwAyADIAMAA1AAcACABEkqlgclfHAQAAAAA=";

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<_> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// MS-WMHTTP 4.8
    #[test]
    fn the_first_message_is_that_of_the_example() {
        let example = "TlRMTVNTUAABAAAAB4IIogAAAAAAAAAAAAAAAAAAAAAFASgKAAAADw==";
        assert_eq!(BASE64_STANDARD.encode(NEGOTIATE), example);
        assert_eq!(NEGOTIATE[12..16], OFFERED.bits().to_le_bytes());
        assert_eq!(NEGOTIATE[32..], VERSION.to_bytes());
    }

    /// MS-WMHTTP 4.8: the challenge of a WMS2205 of 2007, which sends the time
    #[test]
    fn the_challenge_of_the_example_is_answered() {
        let challenge =
            ServerChallenge::parse(&BASE64_STANDARD.decode(CHALLENGE_4_8).unwrap()).unwrap();
        assert_eq!(challenge.0.target_name, "WMS2205");
        assert_eq!(challenge.timestamp(), Some(0x01c7_5772_60a9_9244));
        let credentials = Credentials::new(r"CRMUR-X1\Administrator", "secret");
        let now = SystemTime::UNIX_EPOCH;
        let bytes = challenge
            .answer(&credentials, "MediaServer", now, [0xaa; 8])
            .unwrap();
        let Ok(Message::Authenticate(answer)) = Message::try_from(bytes.as_slice()) else {
            panic!("no AUTHENTICATE_MESSAGE");
        };
        // The flags of the answer in the example
        assert_eq!(answer.flags.bits(), 0xa288_8205);
        assert_eq!(
            (&*answer.domain_name, &*answer.user_name),
            ("CRMUR-X1", "Administrator")
        );
        assert!(answer.workstation_name.is_empty() && answer.session_key.is_empty());
        assert_eq!(answer.lm_response, [0; 24]);
        let (proof, temp) = answer.ntlm_response.split_at(16);
        assert_eq!(temp[8..16], 0x01c7_5772_60a9_9244_u64.to_le_bytes());
        let target_name: Vec<u8> = "HTTP/MediaServer"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert!(temp.ends_with(&[&target_name[..], &[0; 8]].concat()));
        let key = response_key(&credentials);
        assert_eq!(
            hmac_md5(&key, &[&challenge.0.challenge, temp]).unwrap(),
            proof
        );
    }

    /// MS-NLMP 4.2.4
    #[test]
    fn the_vectors_of_ms_nlmp_are_reproduced() {
        let key = response_key(&Credentials::new(r"Domain\User", "Password"));
        assert_eq!(key, *hex("0c868a403bfd7a93a3001ef22ef02e3f"));
        let server_challenge = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
        let target_info =
            hex("02000c0044006f006d00610069006e00 01000c00530065007200760065007200 00000000");
        let nt = nt_response(&key, server_challenge, [0xaa; 8], 0, &target_info).unwrap();
        assert_eq!(nt[..16], hex("68cd0ab851e51c96aabc927bebef6a1c"));
        let temp = hex("01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000
             02000c0044006f006d00610069006e0001000c0053006500720076006500720000000000 00000000");
        assert_eq!(nt[16..], temp);
        assert_eq!(
            lm_response(&key, server_challenge, [0xaa; 8]).unwrap(),
            hex("86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa")
        );
    }

    #[test]
    fn without_a_server_timestamp_the_local_time_is_used() {
        let example = BASE64_STANDARD.decode(CHALLENGE_4_8).unwrap();
        let mut challenge = ServerChallenge::parse(&example).unwrap();
        let entries = &mut challenge.0.target_information;
        entries.retain(|entry| entry.entry_type != TargetInfoType::Timestamp);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        let bytes = challenge
            .answer(&Credentials::new("alice", "secret"), "host", now, [7; 8])
            .unwrap();
        let Ok(Message::Authenticate(answer)) = Message::try_from(bytes.as_slice()) else {
            panic!("no AUTHENTICATE_MESSAGE");
        };
        assert_eq!(
            answer.ntlm_response[24..32],
            116_444_736_010_000_000_u64.to_le_bytes()
        );
        assert_eq!(answer.lm_response[16..], [7; 8]);
        assert_eq!(answer.domain_name, "");
    }

    #[test]
    fn names_longer_than_a_message_can_hold_are_refused() {
        let example = BASE64_STANDARD.decode(CHALLENGE_4_8).unwrap();
        let challenge = ServerChallenge::parse(&example).unwrap();
        let answer = |user: &str| {
            let credentials = Credentials::new(user, "secret");
            challenge.answer(&credentials, "host", SystemTime::UNIX_EPOCH, [0; 8])
        };
        assert!(answer(&"x".repeat(MAX_NAME)).is_some());
        assert!(answer(&"x".repeat(MAX_NAME + 1)).is_none());
    }

    #[test]
    fn a_truncated_challenge_is_rejected() {
        let whole = BASE64_STANDARD.decode(CHALLENGE_4_8).unwrap();
        for length in 0..whole.len() {
            assert!(
                ServerChallenge::parse(&whole[..length]).is_none(),
                "{length}"
            );
        }
        assert!(ServerChallenge::parse(NEGOTIATE).is_none());
    }

    #[test]
    fn a_challenge_may_come_without_a_version() {
        let mut message = [0; WITHOUT_VERSION];
        message[..12].copy_from_slice(b"NTLMSSP\0\x02\0\0\0");
        message[20..24].copy_from_slice(&0x0000_0201_u32.to_le_bytes());
        let challenge = ServerChallenge::parse(&message).unwrap();
        assert_eq!(challenge.target_info("host"), [0; 4]);
        assert!(ServerChallenge::parse(&message[..47]).is_none());
    }

    proptest! {
        #[test]
        fn arbitrary_challenges_never_panic(
            changes in prop::collection::vec((0usize..200, any::<u8>()), 0..20),
            tail in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut message = BASE64_STANDARD.decode(CHALLENGE_4_8).unwrap();
            message.extend(tail);
            for (position, byte) in changes {
                if let Some(place) = message.get_mut(position.max(12)) {
                    *place = byte;
                }
            }
            if let Some(challenge) = ServerChallenge::parse(&message) {
                let credentials = Credentials::new("alice", "secret");
                let _ = challenge.answer(&credentials, "host", SystemTime::UNIX_EPOCH, [0; 8]);
            }
        }
    }
}
