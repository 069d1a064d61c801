// SPDX-License-Identifier: MPL-2.0

//! What `gst-launch-1.0 -m` prints, condensed to what the demo is about.

/// The line to show for a line of gst-launch-1.0, if it is worth showing.
pub fn condensed(line: &str) -> Option<String> {
    if line.starts_with("ERROR") || line.starts_with("WARNING") {
        return Some(line.to_owned());
    }
    if line.contains(" wmspushsink-status,") {
        return Some(status(line));
    }
    // The line "Progress: (code) text" that follows says the same without the type.
    if line.starts_with("Got message ") && line.contains(" (progress): ") {
        return Some(progress(line));
    }
    None
}

/// Whether a line is one of the many that say nothing about a failure.
pub fn is_chatter(line: &str) -> bool {
    [" (state-changed): ", " (tag): ", " (stream-status): "]
        .iter()
        .any(|kind| line.starts_with("Got message ") && line.contains(kind))
}

/// A progress message: `progress  connect continue  Resolving`.
fn progress(line: &str) -> String {
    let part = |name| field(line, name).unwrap_or_default();
    format!(
        "progress  {} {}  {}",
        part("code"),
        part("type"),
        part("text")
    )
    .trim_end()
    .to_owned()
}

/// A status message: `WMT_OPENED  connecting -> connected  S_OK  reason`.
fn status(line: &str) -> String {
    let part = |name| field(line, name).filter(|value| !value.is_empty());
    let state = part("state").unwrap_or_default();
    let states = match part("previous-state") {
        Some(previous) if previous != state => format!("{previous} -> {state}"),
        _ => state,
    };
    let name = part("wmt-status-name").unwrap_or_else(|| "status".to_owned());
    [
        Some(name),
        Some(states),
        part("hresult-name"),
        part("reason"),
        part("hint"),
    ]
    .into_iter()
    .flatten()
    .filter(|text| !text.is_empty())
    .collect::<Vec<_>>()
    .join("  ")
}

/// The value of a field in a printed structure, without quotes and backslashes.
fn field(line: &str, name: &str) -> Option<String> {
    let start = format!(", {name}=(");
    let (_, rest) = line.split_once(&start)?;
    let (_, value) = rest.split_once(')')?;
    let quoted = value.starts_with('"');
    let mut characters = value.chars().skip(usize::from(quoted));
    let mut text = String::new();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted => break,
            ',' | ';' if !quoted => break,
            '\\' => text.extend(characters.next()),
            character => text.push(character),
        }
    }
    Some(text).filter(|text| text != "NULL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_message_becomes_one_readable_line() {
        let line = concat!(
            r#"Got message #50 from element "wmspushsink0" (element): wmspushsink-status, state=(string)connected, "#,
            r#"previous-state=(string)connecting, wmt-status=(int)1, wmt-status-name=(string)WMT_OPENED, "#,
            r#"hresult=(uint)0, hresult-name=(string)S_OK, location=(string)"http://127.0.0.1:8080/live", "#,
            r#"reason=(string)"the\ server\ is\ \"Rex\"\,\ fine", hint=(string)"";"#,
        );
        assert_eq!(
            condensed(line).as_deref(),
            Some(r#"WMT_OPENED  connecting -> connected  S_OK  the server is "Rex", fine"#)
        );
    }

    #[test]
    fn a_status_message_may_lack_fields() {
        let line = r#"Got message #5 from element "s" (element): wmspushsink-status, state=(string)ended, reason=(string)NULL;"#;
        assert_eq!(condensed(line).as_deref(), Some("status  ended"));
    }

    #[test]
    fn a_progress_message_is_shown_once_with_its_type() {
        let line = concat!(
            r#"Got message #9 from element "wmspushsink0" (progress): GstMessageProgress, "#,
            r#"type=(GstProgressType)continue, code=(string)connect, text=(string)"Resolving\ 127.0.0.1", "#,
            "percent=(int)0, timeout=(int)-1;"
        );
        assert_eq!(
            condensed(line).as_deref(),
            Some("progress  connect continue  Resolving 127.0.0.1")
        );
        assert_eq!(condensed("Progress: (connect) Resolving 127.0.0.1"), None);
    }

    #[test]
    fn errors_and_warnings_are_shown_and_the_rest_is_not() {
        let error =
            "ERROR: from element /GstPipeline:pipeline0/GstWmsPushSink:wmspushsink0: Not found.";
        assert_eq!(condensed(error).as_deref(), Some(error));
        let warning = "WARNING: erroneous pipeline: no element \"wmspushsink\"";
        assert_eq!(condensed(warning).as_deref(), Some(warning));
        assert_eq!(condensed("Setting pipeline to PLAYING ..."), None);
        assert_eq!(
            condensed(r#"Got message #2 from element "pipeline0" (eos): no message details"#),
            None
        );
    }
}
