// SPDX-License-Identifier: MPL-2.0

//! The syntax of `--fault`.

use publishing_point::{Fault, MidBody, Refuse, When};

pub const USAGE: &str = "\
WHEN is always, or selects requests. N counts all requests, or those of the kind, from 0:
  request:N  setup  setup:N  start  start:N

WHAT is one of:
  refuse STATUS [REASON]            refuse the request with a status
  redirect STATUS URL               redirect the client, with 302 or 305
  challenge FIELD                   demand credentials, with this WWW-Authenticate field
  silent                            never answer
  garbage                           answer with bytes that are not HTTP
  announcement                      answer with a playlist, as to a player
  server [NAME]                     serve with this Server field, or without one
  status-200                        serve with 200 instead of 204
  without FIELD                     serve without this response field
  close                             serve, and close the connection
  after N refuse STATUS [REASON]    refuse after N packets of a PushStart
  after N success                   answer as if the body were complete
  after N close                     close the connection
  after N reset                     reset the connection
  after N stall                     stop reading
  end refuse STATUS [REASON]        answer the last packet with a status
  end silent                        send no response, and keep the connection open

For instance: --fault 'start:0 after 100 reset' --fault 'setup:1 refuse 503'
";

/// Parses a fault, and the requests that it applies to.
pub fn parse(text: &str) -> Result<(When, Fault), String> {
    let (when, what) = text.split_once(' ').unwrap_or((text, ""));
    let fault = Words(what).fault();
    match (self::when(when), fault) {
        (Some(when), Some(fault)) => Ok((when, fault)),
        (None, _) => Err(format!("--fault: {when:?} is unknown: see --help")),
        (_, None) => Err(format!("--fault: {what:?} is unknown: see --help")),
    }
}

fn when(text: &str) -> Option<When> {
    let numbered = |text: &str| text.parse().ok();
    Some(match text.split_once(':') {
        Some(("request", number)) => When::Request(numbered(number)?),
        Some(("setup", number)) => When::PushSetup(numbered(number)?),
        Some(("start", number)) => When::PushStart(numbered(number)?),
        Some(_) => return None,
        None => match text {
            "always" => When::Always,
            "setup" => When::EveryPushSetup,
            "start" => When::EveryPushStart,
            _ => return None,
        },
    })
}

/// The unparsed words.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (word, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    fn number<N: std::str::FromStr>(&mut self) -> Option<N> {
        self.next()?.parse().ok()
    }

    /// Returns the rest of the text.
    fn rest(&mut self) -> String {
        std::mem::take(&mut self.0).to_owned()
    }

    /// Returns `found` if no words are left.
    fn only<T>(&self, found: T) -> Option<T> {
        self.0.is_empty().then_some(found)
    }

    fn fault(&mut self) -> Option<Fault> {
        let fault = match self.next()? {
            "refuse" => Fault::Refuse(self.refuse()?),
            "redirect" => Fault::Redirect {
                status: self.number()?,
                location: self.rest(),
            },
            "challenge" => Fault::Challenge(vec![self.rest()]),
            "silent" => Fault::Silent,
            "garbage" => Fault::Garbage,
            "announcement" => Fault::Announcement,
            "server" => Fault::Server(self.rest()),
            "status-200" => Fault::Status200,
            "without" => Fault::Without(self.number()?),
            "close" => Fault::CloseAfterResponse,
            "after" => Fault::AfterPackets(self.number()?, self.mid_body()?),
            "end" => Fault::AfterEnd(self.after_end()?),
            _ => return None,
        };
        self.only(fault)
    }

    fn mid_body(&mut self) -> Option<MidBody> {
        Some(match self.next()? {
            "refuse" => MidBody::Respond(self.refuse()?),
            "success" => MidBody::Success,
            "close" => MidBody::Close,
            "reset" => MidBody::Reset,
            "stall" => MidBody::Stall,
            _ => return None,
        })
    }

    fn after_end(&mut self) -> Option<Option<Refuse>> {
        match self.next()? {
            "refuse" => self.refuse().map(Some),
            "silent" => Some(None),
            _ => None,
        }
    }

    fn refuse(&mut self) -> Option<Refuse> {
        let status = self.number()?;
        (100..1000).contains(&status).then(|| Refuse {
            reason: self.rest(),
            ..Refuse::new(status)
        })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn every_line_of_the_usage_is_valid() {
        for (text, when, fault) in [
            ("always silent", When::Always, Fault::Silent),
            ("request:2 garbage", When::Request(2), Fault::Garbage),
            (
                "setup announcement",
                When::EveryPushSetup,
                Fault::Announcement,
            ),
            ("setup:1 status-200", When::PushSetup(1), Fault::Status200),
            (
                "start close",
                When::EveryPushStart,
                Fault::CloseAfterResponse,
            ),
            (
                "start:3 server Rex/9.0",
                When::PushStart(3),
                Fault::Server("Rex/9.0".to_owned()),
            ),
            ("always server", When::Always, Fault::Server(String::new())),
            (
                "always without Set-Cookie",
                When::Always,
                Fault::Without(HeaderName::from_static("set-cookie")),
            ),
            (
                "always challenge Basic realm=\"a b\"",
                When::Always,
                Fault::Challenge(vec!["Basic realm=\"a b\"".to_owned()]),
            ),
            (
                "always redirect 302 http://other/live",
                When::Always,
                Fault::Redirect {
                    status: 302,
                    location: "http://other/live".to_owned(),
                },
            ),
            (
                "setup:0 refuse 503",
                When::PushSetup(0),
                Fault::Refuse(Refuse::new(503)),
            ),
            (
                "start:0 after 100 reset",
                When::PushStart(0),
                Fault::AfterPackets(100, MidBody::Reset),
            ),
            (
                "start after 1 success",
                When::EveryPushStart,
                Fault::AfterPackets(1, MidBody::Success),
            ),
            (
                "start after 1 close",
                When::EveryPushStart,
                Fault::AfterPackets(1, MidBody::Close),
            ),
            (
                "start after 1 stall",
                When::EveryPushStart,
                Fault::AfterPackets(1, MidBody::Stall),
            ),
            (
                "start end silent",
                When::EveryPushStart,
                Fault::AfterEnd(None),
            ),
            (
                "start end refuse 500",
                When::EveryPushStart,
                Fault::AfterEnd(Some(Refuse::new(500))),
            ),
        ] {
            assert_eq!(parse(text), Ok((when, fault)), "{text}");
        }
        let Ok((_, Fault::AfterPackets(1, MidBody::Respond(refuse)))) =
            parse("start after 1 refuse 500 Out of order")
        else {
            panic!();
        };
        assert_eq!((refuse.status, &*refuse.reason), (500, "Out of order"));
    }

    #[test]
    fn anything_else_is_an_error() {
        for text in [
            "",
            "always",
            "never silent",
            "start:x silent",
            "always silence",
            "always silent now",
            "always refuse",
            "always refuse 1000",
            "start after reset",
            "start after 1 sleep",
            "always without a field",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
