// SPDX-License-Identifier: MPL-2.0

use std::str::FromStr;

use url::Host;

/// Returns whether `no_proxy`, the value of that environment variable, excludes `host` from proxies. The rules are
/// curl's:
///
/// * `*` by itself excepts all hosts; in a list it is no host.
/// * Names and addresses are separated by commas or spaces. They have no ports, schemes or wildcards.
/// * A name excepts itself and what stands below it. One dot before and one behind it have no effect.
/// * An address excepts itself, with `/n` the network of its first n bits. Names are not resolved for it.
pub(super) fn bypasses_proxy(host: &Host<&str>, no_proxy: &str) -> bool {
    if no_proxy.trim() == "*" {
        return true;
    }
    let mut exceptions = no_proxy.split([',', ' ', '\t']);
    exceptions.any(|exception| match host {
        Host::Domain(name) => is_below(name, exception),
        Host::Ipv4(address) => {
            is_in_network(*address, exception, 32, |address| address.to_bits().into())
        }
        Host::Ipv6(address) => is_in_network(*address, exception, 128, |address| address.to_bits()),
    })
}

fn is_below(name: &str, domain: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let domain = domain.strip_prefix('.').unwrap_or(domain);
    let Some(start) = name.len().checked_sub(domain.len()) else {
        return false;
    };
    let Some((below, end)) = name.split_at_checked(start) else {
        return false;
    };
    !domain.is_empty()
        && end.eq_ignore_ascii_case(domain)
        && (below.is_empty() || below.ends_with('.'))
}

/// Returns whether `address`, of `width` bits, is in `network`. As in curl, a network of 0 bits is its address alone.
fn is_in_network<A: FromStr>(address: A, network: &str, width: u32, bits: fn(A) -> u128) -> bool {
    let (network, length) = match network.split_once('/') {
        Some((network, length)) => (network, length.parse().ok()),
        None => (network, Some(width)),
    };
    let Some((network, length)) = network.parse().ok().zip(length) else {
        return false;
    };
    let shift = match length {
        0 => 0,
        length if length <= width => width - length,
        _ => return false,
    };
    (bits(address) ^ bits(network)) >> shift == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `true`: the request bypasses the proxy. The results are those of curl 7.88.1, except in the rows with a comment.
    #[test]
    fn exceptions_are_those_of_curl() {
        for (no_proxy, host, expected) in [
            ("*", "127.0.0.1", true),
            ("*", "media.test", true),
            ("*", "[::1]", true),
            ("*,x", "127.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1/32", "127.0.0.1", true),
            ("127.0.0.0/8", "127.0.0.1", true),
            ("127.0.0.0/0", "127.0.0.1", false),
            ("10.0.0.0/8", "127.0.0.1", false),
            ("192.168.0.0/16", "192.168.77.1", true),
            ("192.168.0.0/016", "192.168.77.1", true),
            ("192.168.1.1/16", "192.168.77.1", true),
            ("192.168.0.0/33", "192.168.77.1", false),
            ("192.168.0.0/", "192.168.77.1", false),
            ("192.168", "192.168.77.1", false),
            ("127.0.0.1", "127.1", true),
            ("127.0.0.1:8080", "127.0.0.1", false),
            ("127.0.0.", "127.0.0.1", false),
            ("localhost", "127.0.0.1", false),
            ("127.0.0.1", "localhost", false),
            ("localhost", "localhost", true),
            ("LOCALHOST", "localhost", true),
            (".localhost", "localhost", true),
            ("localhost.", "localhost", true),
            ("localhost:8080", "localhost", false),
            ("media.test", "media.test", true),
            ("media.test", "www.media.test", true),
            (".media.test", "www.media.test", true),
            (".media.test", "media.test", true),
            ("media.test", "www.MEDIA.test.", true),
            ("media.test", "nomedia.test", false),
            ("edia.test", "media.test", false),
            ("b.media.test", "media.test", false),
            ("test", "media.test", true),
            ("*.test", "media.test", false),
            ("..media.test", "media.test", false),
            ("http://media.test", "media.test", false),
            ("a, media.test", "media.test", true),
            ("a media.test", "media.test", true),
            ("a,,media.test", "media.test", true),
            ("::1", "[::1]", true),
            ("[::1]", "[::1]", false),
            // Later versions of curl compare these as addresses; 7.88.1 compares texts.
            ("0:0::1", "[::1]", true),
            ("::/64", "[::1]", true),
            ("fe80::/10", "[fe80::1]", true),
            ("fe80::/10", "[2001:db8::1]", false),
            // curl takes the letter for 0.
            ("192.168.0.0/x", "192.168.0.0", false),
            ("", "media.test", false),
            (".", "media.test.", false),
        ] {
            let host = Host::parse(host).unwrap();
            let host = match &host {
                Host::Domain(name) => Host::Domain(name.as_str()),
                Host::Ipv4(address) => Host::Ipv4(*address),
                Host::Ipv6(address) => Host::Ipv6(*address),
            };
            assert_eq!(
                bypasses_proxy(&host, no_proxy),
                expected,
                "{no_proxy} {host}"
            );
        }
    }
}
