// SPDX-License-Identifier: MPL-2.0

//! What has to be installed, and why.

use std::collections::HashSet;

/// How to see that something is there without asking a package manager.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Probe {
    /// A program in `PATH`.
    Program(&'static str),
    /// A pkg-config module.
    Module(&'static str),
    /// A GStreamer element.
    Element(&'static str),
    /// A Python 3 statement that succeeds.
    Python(&'static str),
    /// A file, at one of these places.
    File(&'static [&'static str]),
}

/// What a package is needed for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Use {
    /// Every command.
    Everything,
    /// `cargo xtask test`.
    Tests,
    /// Those tests that start servers and players, which there are on Linux only.
    Servers {
        /// What the package would start with the system: the tests start their own, on other ports.
        services: &'static [&'static str],
    },
}

/// One package of Debian and Ubuntu.
#[derive(Debug)]
pub struct Package {
    /// Its name for apt-get.
    pub name: &'static str,
    /// What it is needed for.
    pub reason: &'static str,
    /// How to see that it, or what another system has for it, is there.
    pub probe: Probe,
    /// Who needs it.
    pub needed_for: Use,
}

/// Shortens the table below.
const fn package(name: &'static str, reason: &'static str, probe: Probe) -> Package {
    Package {
        name,
        reason,
        probe,
        needed_for: Use::Everything,
    }
}

/// A package that only the tests need.
const fn for_tests(name: &'static str, reason: &'static str, probe: Probe) -> Package {
    Package {
        name,
        reason,
        probe,
        needed_for: Use::Tests,
    }
}

/// A package that only the tests need that start servers and players.
const fn for_servers(
    name: &'static str,
    reason: &'static str,
    probe: Probe,
    services: &'static [&'static str],
) -> Package {
    Package {
        name,
        reason,
        probe,
        needed_for: Use::Servers { services },
    }
}

/// Everything that the commands need beside Rust.
pub const PACKAGES: &[Package] = &[
    package(
        "build-essential",
        "the linker and the C library's development files",
        Probe::Program("cc"),
    ),
    for_tests("g++", "compiles libFuzzer", Probe::Program("c++")),
    package(
        "pkg-config",
        "finds GStreamer when the plugin is built",
        Probe::Program("pkg-config"),
    ),
    package(
        "libgstreamer1.0-dev",
        "GStreamer's core, which the plugin links",
        Probe::Module("gstreamer-1.0"),
    ),
    package(
        "libgstreamer-plugins-base1.0-dev",
        "GStreamer's libraries beside the core, for the plugin and its tests",
        Probe::Module("gstreamer-app-1.0"),
    ),
    package(
        "gstreamer1.0-tools",
        "gst-launch-1.0 and gst-inspect-1.0",
        Probe::Program("gst-launch-1.0"),
    ),
    package(
        "gstreamer1.0-plugins-base",
        "test sources, converters and decodebin",
        Probe::Element("videotestsrc"),
    ),
    package(
        "gstreamer1.0-plugins-good",
        "sources and parsers of usual pipelines",
        Probe::Element("flvmux"),
    ),
    package(
        "gstreamer1.0-plugins-bad",
        "asfmux",
        Probe::Element("asfmux"),
    ),
    package(
        "gstreamer1.0-plugins-ugly",
        "asfdemux",
        Probe::Element("asfdemux"),
    ),
    package(
        "gstreamer1.0-libav",
        "Windows Media encoders and decoders",
        Probe::Element("avenc_wmv2"),
    ),
    package(
        "ffmpeg",
        "ffmpeg and ffprobe, a second opinion on recordings",
        Probe::Program("ffprobe"),
    ),
    for_tests(
        "python3-gi",
        "tests that use the element from Python",
        Probe::Python("import gi"),
    ),
    for_tests(
        "gir1.2-gstreamer-1.0",
        "GStreamer's core for Python and JavaScript",
        Probe::Python("import gi; gi.require_version('Gst', '1.0')"),
    ),
    for_tests(
        "gir1.2-gst-plugins-base-1.0",
        "GStreamer's libraries beside the core for Python",
        Probe::Python("import gi; gi.require_version('GstApp', '1.0')"),
    ),
    for_tests(
        "gjs",
        "the test of the example in JavaScript",
        Probe::Program("gjs"),
    ),
    for_tests(
        "valgrind",
        "watches the memory of a push",
        Probe::Program("valgrind"),
    ),
    for_tests(
        "libkrb5-dev",
        "GSSAPI, for the feature kerberos",
        Probe::Module("krb5-gssapi"),
    ),
    for_tests(
        "libclang-dev",
        "reads GSSAPI's header files when the feature kerberos is built",
        Probe::File(&["/usr/lib64/libclang.so", "/usr/lib/libclang.so"]),
    ),
    for_tests(
        "meson",
        "installs the plugin in a test",
        Probe::Program("meson"),
    ),
    for_tests(
        "ninja-build",
        "does the work for meson",
        Probe::Program("ninja"),
    ),
    for_servers(
        "vlc-bin",
        "a player of what is pushed",
        Probe::Program("cvlc"),
        &[],
    ),
    for_servers(
        "vlc-plugin-base",
        "MS-WMSP and ASF for that player",
        Probe::File(&[
            "/usr/lib/x86_64-linux-gnu/vlc/plugins/access/libaccess_mms_plugin.so",
            "/usr/lib/aarch64-linux-gnu/vlc/plugins/access/libaccess_mms_plugin.so",
        ]),
        &[],
    ),
    for_servers(
        "libmms0",
        "another client of MS-WMSP, that of many players",
        Probe::Python("import ctypes; ctypes.CDLL('libmms.so.0')"),
        &[],
    ),
    for_servers(
        "chromium",
        "a browser for the page of the publishing point",
        Probe::Program("chromium"),
        &[],
    ),
    for_servers(
        "apache2-bin",
        "a web server to authenticate to; this package has no service",
        Probe::Program("apache2"),
        &[],
    ),
    for_servers(
        "libapache2-mod-auth-gssapi",
        "NTLM and Kerberos for that web server",
        Probe::File(&["/usr/lib/apache2/modules/mod_auth_gssapi.so"]),
        &[],
    ),
    for_servers(
        "gss-ntlmssp",
        "NTLM for GSSAPI",
        Probe::File(&["/etc/gss/mech.d/mech.ntlmssp.conf"]),
        &[],
    ),
    for_servers(
        "apache2-utils",
        "htpasswd, for users with passwords",
        Probe::Program("htpasswd"),
        &[],
    ),
    for_servers(
        "stunnel4",
        "TLS in front of a server that has none",
        Probe::File(&[
            "/usr/bin/stunnel4",
            "/usr/sbin/stunnel4",
            "/usr/bin/stunnel",
        ]),
        &["stunnel4"],
    ),
    for_servers(
        "openssl",
        "certificates for that TLS",
        Probe::Program("openssl"),
        &[],
    ),
    for_servers(
        "lighttpd",
        "a web server whose Digest knows SHA-256",
        Probe::Program("lighttpd"),
        &["lighttpd"],
    ),
    for_servers(
        "squid",
        "a proxy that asks for passwords",
        Probe::Program("squid"),
        &["squid"],
    ),
    for_servers(
        "tinyproxy-bin",
        "another proxy; this package has no service",
        Probe::Program("tinyproxy"),
        &[],
    ),
    for_servers(
        "krb5-kdc",
        "a Kerberos realm to get tickets from",
        Probe::Program("krb5kdc"),
        &["krb5-kdc"],
    ),
    for_servers(
        "krb5-admin-server",
        "kadmin.local, for users of that realm",
        Probe::Program("kadmin.local"),
        &["krb5-admin-server"],
    ),
    for_servers(
        "krb5-user",
        "kinit, which logs in to that realm",
        Probe::Program("kinit"),
        &[],
    ),
];

/// The format for `dpkg-query -W` that [`missing`] reads.
pub const DPKG_FORMAT: &str = "${Package}\t${db:Status-Status}\n";

/// The packages a command needs.
pub fn needed(tests: bool) -> impl Iterator<Item = &'static Package> {
    PACKAGES
        .iter()
        .filter(move |package| match package.needed_for {
            Use::Everything => true,
            Use::Tests => tests,
            Use::Servers { .. } => tests && cfg!(target_os = "linux"),
        })
}

impl Package {
    /// The services that must not start with the system only because this was installed.
    pub fn services(&self) -> &'static [&'static str] {
        match self.needed_for {
            Use::Servers { services } => services,
            Use::Everything | Use::Tests => &[],
        }
    }
}

/// Which of the packages are missing, given what `dpkg-query -W` printed.
///
/// A program that is there counts whoever installed it; libraries, plugins and typelibs have to be the system's, since
/// they have to fit each other.
pub fn missing<'a>(
    packages: impl Iterator<Item = &'a Package>,
    dpkg: &str,
    program_found: impl Fn(&str) -> bool,
) -> Vec<&'a Package> {
    let installed: HashSet<&str> = dpkg
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter(|&(_, status)| status == "installed")
        .map(|(name, _)| name)
        .collect();
    let there = |package: &Package| {
        installed.contains(package.name)
            || matches!(package.probe, Probe::Program(program) if program_found(program))
    };
    packages.filter(|package| !there(package)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the packages that are missing.
    fn names(tests: bool, dpkg: &str, program_found: impl Fn(&str) -> bool) -> Vec<&'static str> {
        missing(needed(tests), dpkg, program_found)
            .iter()
            .map(|package| package.name)
            .collect()
    }

    /// What dpkg-query prints when all packages have this status.
    fn all(status: &str) -> String {
        PACKAGES
            .iter()
            .map(|package| format!("{}\t{status}\n", package.name))
            .collect()
    }

    #[test]
    fn nothing_is_missing_when_everything_is_installed() {
        assert_eq!(names(true, &all("installed"), |_| false), [""; 0]);
    }

    #[test]
    fn everything_is_missing_on_an_empty_system() {
        assert_eq!(names(true, "", |_| false).len(), PACKAGES.len());
    }

    #[test]
    fn a_removed_package_with_its_configuration_left_is_missing() {
        assert_eq!(
            names(true, &all("config-files"), |_| false).len(),
            PACKAGES.len()
        );
    }

    #[test]
    fn a_program_counts_whoever_installed_it() {
        let found = names(true, "", |program| program == "cc" || program == "ffprobe");
        assert!(!found.contains(&"build-essential") && !found.contains(&"ffmpeg"));
        assert!(found.contains(&"pkg-config") && found.contains(&"libgstreamer1.0-dev"));
    }

    #[test]
    fn one_missing_package_is_named_alone() {
        let dpkg = all("installed").replace("gstreamer1.0-plugins-bad\tinstalled\n", "");
        assert_eq!(names(false, &dpkg, |_| false), ["gstreamer1.0-plugins-bad"]);
    }

    #[test]
    fn only_the_tests_need_python_and_servers() {
        for name in ["python3-gi", "squid"] {
            assert!(names(true, "", |_| false).contains(&name), "{name}");
            assert!(!names(false, "", |_| false).contains(&name), "{name}");
        }
    }
}
