// SPDX-License-Identifier: MPL-2.0

//! The responses of the server: 2.2.1 HTTP Header Fields and 3.2.5 Message Processing Events and Sequencing Rules.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION,
    PRAGMA, SERVER, SET_COOKIE, WWW_AUTHENTICATE,
};
use http::{Request, Response, StatusCode};

use super::Redirect;
use super::request::text;
use crate::auth::Challenged;
use crate::wmhttp::PushId;

/// The Server field: that of Windows Media Services on Windows Server 2008 R2.
pub const SERVER_NAME: HeaderValue = HeaderValue::from_static("Cougar/9.6.7600.16564");

/// 2.2.1.7 Supported, as in example 4.8. No feature in it concerns a push.
const FEATURES: &str = "com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, \
    com.microsoft.wm.predstrm, com.microsoft.wm.fastcache, com.microsoft.wm.startupprofile";

/// A response, and the state of the connection after it.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The response. Its Set-Cookie is marked sensitive.
    pub response: Response<Bytes>,
    /// True if the connection has to be closed after the response.
    pub close: bool,
}

impl Reply {
    /// Returns 204 with the push-id of the session (3.2.5.1 Receiving a PushSetup Request, 3.2.5.2.1 Sending a
    /// PushStart Response).
    pub(super) fn success(push_id: &PushId, idle: Duration) -> Self {
        let mut reply = Self::empty(StatusCode::NO_CONTENT);
        let headers = reply.response.headers_mut();
        headers.insert(PRAGMA, pragma(idle));
        if let Ok(mut cookie) = HeaderValue::from_str(&format!("push-id={}", push_id.expose())) {
            cookie.set_sensitive(true);
            headers.insert(SET_COOKIE, cookie);
        }
        headers.insert(
            HeaderName::from_static("supported"),
            HeaderValue::from_static(FEATURES),
        );
        reply
    }

    /// Returns an HTTP error after which the connection has to be closed, because the rest of the body stays unread: for
    /// 3.2.4.1 Administrative Disconnect, or to a [bad body](super::BadBody). Send it at once, without waiting for that
    /// rest.
    pub fn last(status: StatusCode) -> Self {
        Self {
            close: true,
            ..Self::empty(status)
        }
    }

    pub(super) fn method_not_allowed() -> Self {
        let mut reply = Self::last(StatusCode::METHOD_NOT_ALLOWED);
        let post = HeaderValue::from_static("POST");
        reply.response.headers_mut().insert(ALLOW, post);
        reply
    }

    /// Returns 401 (3.2.5.1 Receiving a PushSetup Request, 3.2.5.2 Receiving a PushStart Request). The connection stays
    /// open.
    pub(super) fn challenge(Challenged(fields): &Challenged) -> Self {
        let mut reply = Self::empty(StatusCode::UNAUTHORIZED);
        for field in fields {
            let headers = reply.response.headers_mut();
            headers.append(WWW_AUTHENTICATE, field.clone());
        }
        reply
    }

    /// Returns 302 or 305 (3.2.5.1 Receiving a PushSetup Request). The connection closes.
    pub(super) fn redirect(redirect: &Redirect) -> Self {
        let status = match redirect.is_proxy {
            true => StatusCode::USE_PROXY,
            false => StatusCode::FOUND,
        };
        let mut reply = Self::last(status);
        if let Ok(location) = HeaderValue::from_str(&redirect.location) {
            reply.response.headers_mut().insert(LOCATION, location);
        }
        reply
    }

    /// Returns the response of Windows Media Services to a client that is not an encoder: a playlist with the requested
    /// URL (note <8>).
    pub fn announcement(request: &Request<()>) -> Self {
        let host = text(request.headers(), HOST).unwrap_or("localhost");
        let url = escaped(&format!("http://{host}{}", request.uri().path()));
        let asx =
            format!("<ASX VERSION=\"3.0\">\r\n<ENTRY><REF HREF=\"{url}\"/></ENTRY>\r\n</ASX>\r\n");
        let mut reply = Self::last(StatusCode::OK);
        let headers = reply.response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("video/x-ms-asf"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(asx.len()));
        *reply.response.body_mut() = Bytes::from(asx);
        reply
    }

    fn empty(status: StatusCode) -> Self {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = status;
        let no_cache = HeaderValue::from_static("no-cache");
        let headers = response.headers_mut();
        headers.insert(SERVER, SERVER_NAME);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
        headers.insert(PRAGMA, no_cache.clone());
        headers.insert(CACHE_CONTROL, no_cache);
        Self {
            response,
            close: false,
        }
    }
}

/// 2.2.1.4 Pragma: the Idle-Timeout in milliseconds.
fn pragma(idle: Duration) -> HeaderValue {
    let milliseconds = idle.as_millis().clamp(1_000, u32::MAX.into());
    HeaderValue::from_str(&format!("no-cache, timeout={milliseconds}"))
        .unwrap_or_else(|_| HeaderValue::from_static("no-cache"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2.2.2.1 PushSetup Request, and example 4.8
    #[test]
    fn success_is_204_with_all_required_fields() {
        let push_id = PushId::new("4124758405").unwrap();
        let reply = Reply::success(&push_id, Duration::from_secs(60));
        assert!(!reply.close);
        assert_eq!(reply.response.status(), 204);
        let field = |name| text(reply.response.headers(), name).unwrap();
        assert_eq!(field(SERVER), "Cougar/9.6.7600.16564");
        assert_eq!(field(CONTENT_LENGTH), "0");
        assert_eq!(field(PRAGMA), "no-cache, timeout=60000");
        assert_eq!(field(CACHE_CONTROL), "no-cache");
        assert_eq!(field(SET_COOKIE), "push-id=4124758405");
    }

    /// 5.1 Security Considerations for Implementers
    #[test]
    fn debug_output_hides_the_push_id() {
        let push_id = PushId::new("4124758405").unwrap();
        let reply = Reply::success(&push_id, Duration::from_secs(60));
        assert!(!format!("{reply:?}").contains("4124758405"));
    }

    /// 2.2.1.4 Pragma: at least 1,000
    #[test]
    fn the_announced_timeout_stays_in_its_range() {
        assert_eq!(pragma(Duration::ZERO), "no-cache, timeout=1000");
        assert_eq!(pragma(Duration::MAX), "no-cache, timeout=4294967295");
    }

    #[test]
    fn a_playlist_is_well_formed_whatever_the_host() {
        assert_eq!(escaped("a\"<&>"), "a&quot;&lt;&amp;&gt;");
    }
}
