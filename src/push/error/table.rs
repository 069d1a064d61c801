// SPDX-License-Identifier: MPL-2.0

//! The table of failures: the reason, the text and the hints of each.
//!
//! Texts and hints are templates. [`words`](super::words) defines the names in braces.

use When::{
    Accepted, BasicOffered, DuringSetup, Encrypted, KnownOffered, MediaServer, NamedProxy,
    NoPassword, NoProxyPassword, OtherServer, PlainUser, Proxied, ProxySoftware, Redirected,
    Relayed, Repeated, SetupBody, WebServer,
};

/// The texts of one symptom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// The `reason` field of messages. Programs compare it, so it never changes.
    pub(super) reason: &'static str,
    /// The event, as a clause.
    pub(super) text: &'static str,
    /// Hints with their conditions. The first hint whose conditions all hold applies; the last has none.
    pub(super) hints: &'static [(&'static [When], &'static str)],
    /// The section of `docs/troubleshooting.md` with details; empty: none.
    #[cfg_attr(not(test), allow(dead_code, reason = "for the documentation"))]
    pub(super) see: &'static str,
}

/// A condition of a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// PushSetup has not succeeded on this connection.
    DuringSetup,
    /// A push was accepted before in this run.
    Accepted,
    /// The server has ended each connection after it had received data.
    Repeated,
    /// There is a proxy in front of the server.
    Proxied,
    /// A proxy passes the requests on, so that a response may be its own.
    Relayed,
    /// The location is an `https` URL.
    Encrypted,
    /// PushSetup has a body.
    SetupBody,
    /// The response has the Server field of a web server.
    WebServer,
    /// The response has the Server field of something that is not a Windows Media server.
    OtherServer,
    /// The response has the Server field of a proxy.
    ProxySoftware,
    /// The response has the Server field of a Windows Media server.
    MediaServer,
    /// The location redirects to another server.
    Redirected,
    /// A server has named the proxy in a redirection.
    NamedProxy,
    /// The user has neither a domain nor a realm.
    PlainUser,
    /// A user is set for the server, and no password.
    NoPassword,
    /// A user is set for the proxy, and no password.
    NoProxyPassword,
    /// At least one of the offered schemes is known to the element.
    KnownOffered,
    /// Basic is offered over a connection that is not encrypted.
    BasicOffered,
}

macro_rules! symptoms {
    ($($name:ident($reason:literal, $see:literal, $text:expr) {
        $([$($when:ident),*] => $hint:expr,)+
    })+) => {
        /// A kind of failure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Symptom {
            $($name,)+
        }

        impl Symptom {
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$name),+];

            pub(super) fn row(self) -> Row {
                match self {
                    $(Self::$name => Row {
                        reason: $reason,
                        text: $text,
                        hints: &[$((&[$($when),*], $hint)),+],
                        see: $see,
                    },)+
                }
            }
        }
    };
}

const ANSWERED: &str = "{answerer} answered {status}";

const GONE: &str = "The server accepted this push before: it was stopped or is restarting. reconnect-timeout sets \
     for how long the element tries to reconnect.";

const DOWN: &str = "The server accepted this push before: {host}, or the network in between, is down. \
     reconnect-timeout sets for how long the element tries to reconnect.";

const LISTENS_ELSEWHERE: &str = "{software} answers on {port}. {control-protocol}";

const ANSWERS_SOMEWHERE: &str = "{software} answers on {port}, or at the address in {proxy-source}: check both. \
     {proxy-setting}";

const PROXY_CANNOT_REACH: &str =
    "The proxy cannot reach the server: check host and port in location.";

const PROXY_ANSWERED: &str = "The proxy has answered itself: see its log, and let it pass requests to {port} on {host}. \
     {proxy-setting}";

const IS_PROXY: &str =
    "{software} is a proxy: set proxy to its address, and location to the server behind it.";

const PATH_TAKES_NO_PUSH: &str = "This server takes no push at that path: check the path in location, and that the \
     publishing point has the source push:*.";

const NO_BODY: &str = "The server may not understand the body of PushSetup, which is sent for template-url and \
     auto-destroy only: unset both.";

const NO_HEADER: &str = "The server may refuse the ASF file header, or a new entry of the playlist: leave live-header \
     at true, and start one push for each file.";

const SERVER_LOG: &str = "See the log of the server.";

symptoms! {
    Unresolvable("unresolvable", "", "the name {host} cannot be resolved: {detail}") {
        [Redirected] => "The redirection of {home} to {url} names a host that does not exist: correct it, or set location to \
            the server's own address.",
        [] => "Check the host name in location, and the name service of this computer: nslookup {host}.",
    }
    ProxyUnresolvable("unresolvable", "proxies", "the name of {proxy} cannot be resolved: {detail}") {
        [] => "Check the host name in {proxy-source}. {proxy-setting}",
    }
    ConnectionRefused("connection-refused", "which-port", "{server} refused the connection") {
        [Accepted] => GONE,
        [] => "Check the port, and that the server is running. Windows Media Services listens only when its HTTP \
            Server Control Protocol plug-in is enabled, often on port {usual-port}. {resting}",
    }
    ProxyConnectionRefused("connection-refused", "proxies", "{proxy} refused the connection") {
        [] => "Start the proxy, or check its address in {proxy-source}. {proxy-setting}",
    }
    Unreachable("unreachable", "", "{server} cannot be reached: {detail}") {
        [Accepted] => DOWN,
        [] => "Check the network of this computer, the address of {host}, and the firewalls in between.",
    }
    ProxyUnreachable("unreachable", "proxies", "{proxy} cannot be reached: {detail}") {
        [] => "Check the network of this computer, and the address in {proxy-source}. {proxy-setting}",
    }
    ResolveTimeout("connect-timeout", "", "resolving the name {host} did not succeed within {time} ({timeout-setting})") {
        [] => "Check the name service of this computer: nslookup {host}.",
    }
    ConnectTimeout("connect-timeout", "", "connecting to {server} did not succeed within {time} ({timeout-setting})") {
        [Accepted] => DOWN,
        [Encrypted] => "A firewall may be dropping the connection: allow TCP to {port} on {host}, and check the \
            address. If {host} does not speak TLS on that port, write http:// in location.",
        [] => "A firewall may be dropping the connection: allow TCP to {port} on {host}, and check the address. If \
            only a proxy gets through, set proxy.",
    }
    ProxyConnectTimeout("connect-timeout", "proxies", "connecting to {proxy} did not succeed within {time} ({timeout-setting})") {
        [] => "A firewall may be dropping the connection: allow TCP to {proxy-port} on {proxy-host}. {proxy-setting}",
    }
    TlsTimeout("tls", "tls", "{server} did not answer the TLS handshake within {time}") {
        [Accepted] => "The server accepted this push before: see its log, or raise {timeout-setting}. reconnect-timeout sets for how \
            long the element tries to reconnect.",
        [] => "It has accepted the connection. If it does not speak TLS on {port}, write http:// in location. Otherwise \
            see its log, or raise {timeout-setting}.",
    }
    NotTls("tls", "tls", "{server} does not speak TLS") {
        [] => "Write http:// in location, or the port on which the server speaks TLS.",
    }
    TlsClosed("tls", "tls", "{server} closed the connection during the TLS handshake") {
        [] => "The server may not speak TLS on {port}: write http:// in location. Or it speaks versions before TLS \
            1.2 only: put stunnel or a reverse proxy in front of it.",
    }
    NoCommonTls("tls", "tls", "{server} speaks no common version of TLS: {detail}") {
        [] => "The element speaks TLS 1.2 and 1.3. Servers of the age of Windows Media Services speak older versions: \
            put stunnel or a reverse proxy in front of the server.",
    }
    UnknownIssuer("tls", "tls", "no trusted authority has signed the certificate of {server}") {
        [] => "Set ssl-ca-file to a PEM file with the certificate of the authority, or with the server's own.",
    }
    SelfSigned("tls", "tls", "the certificate of {server} is self-signed, and ssl-ca-file does not have it") {
        [] => "Set ssl-ca-file to a PEM file with that certificate. openssl s_client -connect {host}:{port-number} shows it.",
    }
    WrongName("tls", "tls", "the certificate of {server} is not valid for {host}, but for {names}") {
        [] => "Write a name that is in the certificate as the host in location.",
    }
    Expired("tls", "tls", "the certificate of {server} has expired") {
        [] => "Renew the certificate on the server, or set the clock of this computer.",
    }
    NotYetValid("tls", "tls", "the certificate of {server} is not valid yet") {
        [] => "Set the clock of this computer, or that of the computer that made the certificate.",
    }
    BadCertificate("tls", "tls", "the certificate of {server} cannot be accepted: {detail}") {
        [] => "Replace the certificate on the server, or set ssl-ca-file to a PEM file with it.",
    }
    ClientCertificate("tls", "tls", "{server} demands a client certificate") {
        [] => "The element has none: let the server, or the reverse proxy in front of it, accept connections without.",
    }
    UnknownName("tls", "tls", "{server} does not serve the name {host}") {
        [] => "Write the name under which the server is configured as the host in location.",
    }
    NoAnchors("tls", "tls", "the trusted certificates of this computer cannot be read: {detail}") {
        [] => "Install the package ca-certificates, as Debian calls it, or set ssl-ca-file.",
    }
    NoTls("tls", "tls", "this build of the plugin has no TLS") {
        [] => "Write http:// in location, or build the plugin with the feature tls.",
    }
    OtherTls("tls", "tls", "the TLS handshake with {server} failed: {detail}") {
        [] => "Check that the server speaks TLS 1.2 or 1.3 on {port}. Otherwise put stunnel or a reverse proxy in \
            front of it.",
    }
    ResponseTimeout("response-timeout", "which-port", "{answerer} did not respond within {time}") {
        [DuringSetup, Relayed] => "The proxy may be slow, or wait for the whole request: raise {timeout-setting}. \
            {proxy-setting}",
        [DuringSetup] => "Another service may listen on {port}: check the port. If the server is slow, raise {timeout-setting}.",
        [] => SERVER_LOG,
    }
    ProxyResponseTimeout("response-timeout", "proxies", "{proxy} did not respond within {time}") {
        [] => "Check that an HTTP proxy listens at the address in {proxy-source}. If it is slow, raise {timeout-setting}. \
            {proxy-setting}",
    }
    ProxyBadResponse("bad-response", "proxies", "{proxy} did not respond with HTTP: {detail}") {
        [] => "Another service listens on {proxy-port} of {proxy-host}: check the address in {proxy-source}. \
            {proxy-setting}",
    }
    BadResponse("bad-response", "which-port", "{answerer} did not respond with HTTP: {detail}") {
        [Relayed] => "Check that an HTTP proxy listens at the address in {proxy-source}, and check the port in \
            location. {proxy-setting}",
        [Encrypted] => "Another service listens on {port}: check the port.",
        [] => "Another service listens on {port}: check the port. If the server speaks TLS there, write https:// in \
            location.",
    }
    WrongCredentials("denied", "authentication", "{server} refused {credentials}") {
        [NoPassword] => "Set user-pw.",
        [PlainUser] => "Check user-id and user-pw. A domain user is DOMAIN\\user. gst-launch-1.0 takes single \
            backslashes away: write user-id='DOMAIN\\\\user' in quotes, or DOMAIN\\\\\\\\user without.",
        [] => "Check user-id and user-pw, and that the account may push.",
    }
    NoCredentials("denied", "authentication", "{server} demands a user and a password") {
        [Redirected] => "Set location to {url}: {home} redirects there, and user-id and user-pw are for {home} alone.",
        [NamedProxy, Relayed] => "Set proxy to http://{proxy-address}: {server} has named this proxy in a redirection, and \
            user-id and user-pw are not sent through it otherwise.",
        [] => "Set user-id and user-pw.",
    }
    NoUsableScheme("denied", "authentication", "{server} offers no authentication scheme that the settings allow: {offered}") {
        [BasicOffered] => "Set allow-cleartext-auth=true, beside user-id and user-pw, to send them over a connection that is \
            not encrypted, or use https.",
        [KnownOffered] => "{known-offered}.",
        [] => "The element knows Negotiate, NTLM, Digest and Basic: enable one of them on the server.",
    }
    NoSchemeOffered("denied", "authentication", "{server} demands authentication and offers no scheme") {
        [] => "Enable an authentication plug-in on the server: WMS Negotiate Authentication or WMS Digest \
            Authentication.",
    }
    LoginIncomplete("denied", "authentication", "the login to {server} by {offered} did not complete") {
        [] => "A proxy or load balancer in between may spread requests over connections, which NTLM and Negotiate do not \
            survive, or the challenge of the server cannot be answered: select another scheme with auth-methods.",
    }
    ProxyWrongCredentials("denied", "proxies", "{proxy} refused {proxy-credentials}") {
        [NoProxyPassword] => "Set proxy-pw.",
        [] => "Check proxy-id and proxy-pw.",
    }
    ProxyNoCredentials("denied", "proxies", "{proxy} demands a user and a password") {
        [NamedProxy] => "Set proxy to http://{proxy-address}, and proxy-id and proxy-pw: {server} has named this proxy in a \
            redirection, and proxy-id and proxy-pw are for the proxy of the settings alone.",
        [] => "Set proxy-id and proxy-pw.",
    }
    ProxyNoUsableScheme("denied", "proxies", "{proxy} offers no authentication scheme that the settings allow: {offered}") {
        [BasicOffered] => "Set allow-cleartext-auth=true, beside proxy-id and proxy-pw, to send them over a connection that is \
            not encrypted.",
        [KnownOffered] => "{known-offered}.",
        [] => "The element knows Negotiate, NTLM, Digest and Basic: enable one of them in the proxy.",
    }
    ProxyNoSchemeOffered("denied", "proxies", "{proxy} demands authentication and offers no scheme") {
        [] => "Enable an authentication scheme in the proxy, or let it pass pushes without one.",
    }
    ProxyLoginIncomplete("denied", "proxies", "the login to {proxy} by {offered} did not complete") {
        [] => "The challenge of the proxy cannot be answered, or it closes the connection during NTLM or Negotiate: select \
            another scheme with auth-methods.",
    }
    UnknownProxy("refused", "proxies", "a proxy in front of {server} answered {status}") {
        [] => "Set proxy to the address of that proxy, and proxy-id and proxy-pw.",
    }
    ProxyGateway("refused", "proxies", "{proxy} answered {status} to CONNECT {server}") {
        [] => PROXY_CANNOT_REACH,
    }
    ProxyRefuses("refused", "proxies", "{proxy} answered {status} to CONNECT {server}") {
        [] => "Allow CONNECT to {port} in the configuration of the proxy, such as SSL_ports of Squid. {proxy-setting}",
    }
    InvalidRedirect("redirection", "which-port", "{answerer} redirects without a usable Location") {
        [] => "Check the port and the path in location: a web server may answer there.",
    }
    InsecureRedirect("redirection", "", "{answerer} redirects from https to http, which is not encrypted") {
        [] => "If the push may go unencrypted, set location to {insecure-url}.",
    }
    TooManyHops("redirection", "", "{answerer} redirects more than five times") {
        [] => "Set location to the URL at which the redirections are meant to end.",
    }
    IncompatibleServer("incompatible-server", "which-port", "{responder} is not a Windows Media server: the Server field says {software}") {
        [Relayed, ProxySoftware] => PROXY_ANSWERED,
        [ProxySoftware] => IS_PROXY,
        [Relayed] => ANSWERS_SOMEWHERE,
        [] => LISTENS_ELSEWHERE,
    }
    NamelessServer("incompatible-server", "which-port", "{server} is not a Windows Media server: its response has no Server field") {
        [Relayed] => "Another server answers on {port}: check the port. A proxy may have removed the field.",
        [] => "Another server answers on {port}. {control-protocol}",
    }
    NotAnEncoder("not-an-encoder", "", "{server} responded as it does to a player") {
        [Relayed] => "Leave user-agent unset. The proxy may have changed it. {proxy-setting}",
        [] => "Leave user-agent unset. A proxy on the way may have changed it.",
    }
    EndedByServer("ended-by-server", "a-second-encoder", "{server} ended the stream: it answered with success before the end") {
        [] => "The publishing point was stopped, or another encoder has taken it over: see the log of the server.",
    }
    Forgotten("session-forgotten", "pauses", "{server} does not know the session any more") {
        [] => "The server was restarted, or it got no data for too long. The element begins a new session within \
            reconnect-timeout.",
    }
    LateChallenge("late-challenge", "", "{server} demanded authentication in the middle of the stream") {
        [] => "The element reconnects within reconnect-timeout. If that repeats, see the log of the server.",
    }
    Closed("connection-closed", "a-second-encoder", "{peer} closed the connection") {
        [Repeated] => EACH_TIME,
        [DuringSetup, Accepted] => GONE,
        [DuringSetup, SetupBody] => NO_BODY,
        [DuringSetup, Proxied] => "Check the log of the proxy, and host and port in location. {proxy-setting}",
        [DuringSetup, Encrypted] => CLOSED_BEHIND_TLS,
        [DuringSetup] => CLOSED_AT_ONCE,
        [] => TAKEN_OVER,
    }
    Reset("connection-reset", "a-second-encoder", "{peer} reset the connection") {
        [Repeated] => EACH_TIME,
        [DuringSetup, Accepted] => GONE,
        [DuringSetup, SetupBody] => NO_BODY,
        [DuringSetup, Proxied] => "Check the log of the proxy, and host and port in location. {proxy-setting}",
        [DuringSetup, Encrypted] => CLOSED_BEHIND_TLS,
        [DuringSetup] => CLOSED_AT_ONCE,
        [] => TAKEN_OVER,
    }
    Broken("connection-lost", "", "the connection to {peer} broke: {detail}") {
        [Accepted] => DOWN,
        [] => "Check the network between this computer and {host}.",
    }
    Stalled("stalled", "", "{peer} took no data for {time}") {
        [] => "The network or the server takes less than the bit rate of the stream, or is down: lower the bit rate, \
            or raise stall-timeout.",
    }
    LoginTimeout("drain-timeout", "", "the login to {peer} did not end within {limit} of the end of the stream (eos-timeout)") {
        [] => "The element waits for credentials from the application, or for a Kerberos ticket: provide them sooner, or raise \
            eos-timeout.",
    }
    DrainTimeout("drain-timeout", "", "{peer} did not take the end of the stream within {time} (eos-timeout)") {
        [] => "The network or the server takes less than the bit rate of the stream, or is down: lower the bit \
            rate, or raise eos-timeout.",
    }
    NoResources("no-resources", "", "this computer has no resources left: {detail}") {
        [] => "Close other programs, or raise their limits: ulimit -n, ulimit -u.",
    }
    NotAsf("not-asf", "", "{detail}") {
        [] => "{input-hint}",
    }
    MalformedAsf("malformed-asf", "", "{detail}") {
        [] => "{input-hint}",
    }
    Status3xx("refused", "", ANSWERED) {
        [] => "Set location to the URL to which the server redirects.",
    }
    Status400("refused", "other-receivers", ANSWERED) {
        [DuringSetup, Relayed, ProxySoftware] => PROXY_ANSWERED,
        [DuringSetup, ProxySoftware] => IS_PROXY,
        [DuringSetup, Relayed, WebServer] => ANSWERS_SOMEWHERE,
        [DuringSetup, Encrypted, WebServer] => LISTENS_ELSEWHERE,
        [DuringSetup, WebServer] => "{software} answers on {port}. If it speaks TLS there, write https:// in location. \
            {control-protocol}",
        [DuringSetup, SetupBody] => NO_BODY,
        [DuringSetup, Relayed] => "The proxy may have changed the request. {proxy-setting}",
        [DuringSetup] => "Another server may answer on {port}: check the port. Without extra-headers the server may \
            accept the request.",
        [] => NO_HEADER,
    }
    Status403("refused", "permission-to-write-and-create", ANSWERED) {
        [Accepted] => "The server accepted this push before: it may be at its limit, or have another encoder.",
        [Relayed, ProxySoftware] => PROXY_ANSWERED,
        [ProxySoftware] => IS_PROXY,
        [Relayed, WebServer] => ANSWERS_SOMEWHERE,
        [WebServer] => LISTENS_ELSEWHERE,
        [Relayed] => "The proxy or the server refuses: check the rules of the proxy, and the account's permission to \
            write and to create on the server.",
        [OtherServer] => "Check the port: {software} may be no Windows Media server. Otherwise give the account the \
            permission to push.",
        [] => "Give the account the permissions Write and Create (WMS Publishing Points ACL Authorization). The \
            server may also be at its limit, or accept pushes from certain addresses only.",
    }
    Status404("refused", "a-push-publishing-point", ANSWERED) {
        [Relayed, ProxySoftware] => PROXY_ANSWERED,
        [ProxySoftware] => IS_PROXY,
        [Relayed, WebServer] => ANSWERS_SOMEWHERE,
        [WebServer] => LISTENS_ELSEWHERE,
        [Accepted] => "The publishing point accepted this push before: it was removed, or the server has not noticed \
            yet that the last connection is lost.",
        [OtherServer] => "Check the port: {software} may be no Windows Media server. Otherwise check the path in \
            location, and create the publishing point there.",
        [] => "Check the path in location. Create the publishing point with the source push:*, or give the account \
            the permission Create; template-url names a point to copy.",
    }
    Status405("refused", "which-port", ANSWERED) {
        [Relayed, ProxySoftware] => PROXY_ANSWERED,
        [ProxySoftware] => IS_PROXY,
        [MediaServer] => PATH_TAKES_NO_PUSH,
        [Relayed, WebServer] => ANSWERS_SOMEWHERE,
        [WebServer] => LISTENS_ELSEWHERE,
        [Relayed] => "The server on {port}, or the proxy, does not accept a push. {control-protocol}",
        [] => "The server on {port} does not accept a push. {control-protocol}",
    }
    Status407("refused", "proxies", ANSWERED) {
        [] => "The server behaves like a proxy inside of the tunnel: see its log.",
    }
    Status408("refused", "pauses", ANSWERED) {
        [DuringSetup] => "The server gave up waiting for the request: check the network in between.",
        [] => "The server got no data for too long: check that upstream delivers without long pauses.",
    }
    Status409("refused", "a-second-encoder", ANSWERED) {
        [Accepted] => "The publishing point has another encoder, or the server has not noticed yet that the last \
            connection is lost.",
        [] => "The publishing point has another encoder: stop that, or push to another point. {resting}",
    }
    Status410("refused", "a-push-publishing-point", ANSWERED) {
        [] => "The publishing point was removed, as auto-destroy=true does at the end of a push: create it again.",
    }
    Status413("refused", "proxies", ANSWERED) {
        [] => "A web server or a proxy limits the size of requests: remove that limit for this path, such as \
            client_max_body_size 0 in nginx.",
    }
    Status414("refused", "", ANSWERED) {
        [] => "Shorten the path in location.",
    }
    Status422("refused", "other-receivers", ANSWERED) {
        [DuringSetup, SetupBody] => NO_BODY,
        [DuringSetup] => "The server does not accept the request: check the path in location.",
        [] => NO_HEADER,
    }
    Status429("refused", "", ANSWERED) {
        [] => "The server is at its limit: end other pushes, or wait.",
    }
    Status4xx("refused", "", ANSWERED) {
        [] => SERVER_LOG,
    }
    Status500("refused", "", ANSWERED) {
        [Relayed, ProxySoftware] => PROXY_CANNOT_REACH,
        [DuringSetup, Relayed, WebServer] => ANSWERS_SOMEWHERE,
        [DuringSetup, WebServer] => LISTENS_ELSEWHERE,
        [MediaServer] => "See the event log of the server.",
        [Relayed] => "See the log of the proxy, and that of the server.",
        [] => SERVER_LOG,
    }
    Status502("refused", "proxies", ANSWERED) {
        [Relayed] => PROXY_CANNOT_REACH,
        [] => "A gateway on {port} cannot reach the server behind it: check that the server is running.",
    }
    Status503("refused", "a-second-encoder", ANSWERED) {
        [ProxySoftware, Relayed] => PROXY_CANNOT_REACH,
        [Accepted] => "The server accepted this push before: it is restarting, or at its limit.",
        [DuringSetup] => "The server is at its limit, or the publishing point is stopped. {resting}",
        [] => "The server is at its limit, or the publishing point is stopped.",
    }
    Status505("refused", "which-port", ANSWERED) {
        [] => "The server speaks another version of HTTP: check the port.",
    }
    Status511("refused", "", ANSWERED) {
        [] => "The network of this computer requires a login: open any page in a web browser, and log in there.",
    }
}

const EACH_TIME: &str = "The server ends each connection after it has received data. It may refuse the ASF file \
     header, or the packet size: PeerCast accepts no packet over 8192 bytes (packet-size of asfmux).";

const CLOSED_AT_ONCE: &str = "Another service may listen on {port}: check the port. If the server speaks TLS there, \
     write https:// in location. {resting}";

const CLOSED_BEHIND_TLS: &str = "Another service may listen on {port}: check the port. {resting}";

const TAKEN_OVER: &str = "The server may be restarting, or another encoder may have taken the publishing point over: see the log of the server.";
