// SPDX-License-Identifier: MPL-2.0

//! Authentication and proxies against servers that are not the project's own: Apache, lighttpd, Squid, tinyproxy and MIT
//! Kerberos, as Debian packages them.
//!
//! Each test starts what it needs on loopback ports of its own, with a configuration of its own, and ends it. What
//! answers behind the web servers is the embedded publishing point, which also tells what came through.
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

// Another test target uses the rest of it.
#[allow(dead_code)]
#[path = "../element/rig.rs"]
mod rig;

#[cfg(feature = "tls")]
#[path = "../tls/stunnel.rs"]
mod stunnel;
