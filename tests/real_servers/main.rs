// SPDX-License-Identifier: MPL-2.0

//! Authentication and proxies with independent servers: Apache, lighttpd, Squid, tinyproxy and MIT Kerberos, as Debian
//! packages them.
//!
//! Each test starts its servers on loopback ports of their own, with their own configuration, and stops them. The
//! embedded publishing point behind the web servers records what it receives.
#![cfg(target_os = "linux")]

mod apache;
mod basic;
mod daemon;
mod digest;
#[cfg(feature = "kerberos")]
mod kdc;
#[cfg(feature = "kerberos")]
mod kerberos;
mod lighttpd;
mod ntlm;
mod proxies;
mod push;
mod secrets;
mod squid;
mod streaming;
mod tinyproxy;
#[cfg(feature = "tls")]
mod tunnel;

// Other test targets use the rest.
#[allow(dead_code)]
#[path = "../element/rig.rs"]
mod rig;

#[cfg(feature = "tls")]
#[path = "../tls/stunnel.rs"]
mod stunnel;
