// SPDX-License-Identifier: MPL-2.0

//! The tables of requirements of MS-WMHTTP for clients and servers, with the dispositions of untested ones.
//!
//! A line has four or five fields with tabs between them: id, section, keyword, a sentence, and a disposition if no
//! test cites the requirement. Empty lines, and lines that begin with `#`, are ignored.

/// One requirement.
#[derive(Debug, PartialEq)]
pub struct Requirement {
    /// `C-`, of a client, or `S-`, of a server, and three digits.
    pub id: String,
    /// The sections with the requirement.
    pub section: String,
    /// MUST, SHOULD or MAY; a dash where the text is a plain statement.
    pub keyword: String,
    /// The disposition, if no test cites it.
    pub disposition: Option<Disposition>,
}

/// The reason for which a requirement is not tested.
#[derive(Debug, PartialEq)]
pub enum Disposition {
    /// It does not apply to this project.
    NotApplicable(String),
    /// It is not followed, by a decision of the project.
    Deviation {
        /// The reason.
        reason: String,
        /// The decision, `D-` and a number.
        decision: String,
    },
    /// It is not implemented yet.
    Pending(String),
}

/// Parses the table, and returns the errors of malformed lines.
pub fn parse(table: &str) -> (Vec<Requirement>, Vec<String>) {
    let mut requirements: Vec<Requirement> = Vec::new();
    let mut problems = Vec::new();
    for (number, line) in (1..).zip(table.lines()) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let after = requirements.last().map(|last| last.id.as_str());
        match requirement(line).and_then(|new| in_order(after, new)) {
            Ok(requirement) => requirements.push(requirement),
            Err(message) => problems.push(format!("line {number} of the table: {message}")),
        }
    }
    (requirements, problems)
}

/// Reads one line.
fn requirement(line: &str) -> Result<Requirement, String> {
    let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
    let (id, section, keyword, sentence, disposition) = match fields[..] {
        [id, section, keyword, sentence] => (id, section, keyword, sentence, None),
        [id, section, keyword, sentence, why] => (id, section, keyword, sentence, Some(why)),
        _ => return Err(format!("{} fields, not four or five", fields.len())),
    };
    if !is_id(id) {
        return Err(format!("\"{id}\" is not C- or S- and three digits"));
    }
    if !section.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(format!("{id}: \"{section}\" is no section"));
    }
    if !matches!(keyword, "MUST" | "SHOULD" | "MAY" | "–") {
        return Err(format!("{id}: \"{keyword}\" is no keyword"));
    }
    if sentence.is_empty() {
        return Err(format!("{id}: the sentence is missing"));
    }
    Ok(Requirement {
        id: id.to_owned(),
        section: section.to_owned(),
        keyword: keyword.to_owned(),
        disposition: disposition
            .map(|text| self::disposition(text).map_err(|message| format!("{id}: {message}")))
            .transpose()?,
    })
}

/// Returns whether this is `C-` or `S-` and three digits.
fn is_id(id: &str) -> bool {
    id.strip_prefix("C-")
        .or_else(|| id.strip_prefix("S-"))
        .is_some_and(|digits| digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Checks that ids ascend: ranges rely on that, and none is repeated.
fn in_order(after: Option<&str>, new: Requirement) -> Result<Requirement, String> {
    match after {
        Some(last) if *new.id <= *last => Err(format!("{} stands behind {last}", new.id)),
        _ => Ok(new),
    }
}

/// Reads the fifth field.
fn disposition(text: &str) -> Result<Disposition, String> {
    let (kind, reason) = text.split_once(": ").unwrap_or((text, ""));
    if reason.trim().is_empty() {
        return Err(format!("\"{text}\" has no reason"));
    }
    match kind {
        "not applicable" => Ok(Disposition::NotApplicable(reason.to_owned())),
        "pending" => Ok(Disposition::Pending(reason.to_owned())),
        "deviation" => deviation(reason),
        _ => Err(format!(
            "\"{kind}\" is none of \"not applicable\", \"deviation\" and \"pending\""
        )),
    }
}

/// Reads `reason (D-n)`.
fn deviation(text: &str) -> Result<Disposition, String> {
    let decided = text
        .strip_suffix(')')
        .and_then(|text| text.rsplit_once(" ("));
    match decided {
        Some((reason, decision)) if is_decision(decision) => Ok(Disposition::Deviation {
            reason: reason.to_owned(),
            decision: decision.to_owned(),
        }),
        _ => Err("a deviation does not end in its decision, (D-n)".to_owned()),
    }
}

/// Returns whether this is `D-` and a number.
fn is_decision(text: &str) -> bool {
    text.strip_prefix("D-").is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_four_fields_or_a_disposition() {
        let table = "# id\tsection\n\nC-001\t1.4\t–\tHTTP.\nC-008\t2.2.1, 3.1\tMUST\tTokens.\tpending: not yet\n";
        let (requirements, problems) = parse(table);
        assert_eq!(problems, [""; 0]);
        let ids: Vec<_> = requirements.iter().map(|line| line.id.as_str()).collect();
        assert_eq!(ids, ["C-001", "C-008"]);
        assert_eq!(requirements[0].disposition, None);
        assert_eq!(requirements[1].section, "2.2.1, 3.1");
        assert_eq!(
            requirements[1].disposition,
            Some(Disposition::Pending("not yet".to_owned()))
        );
    }

    #[test]
    fn a_deviation_names_its_decision() {
        assert_eq!(
            disposition("deviation: it (the body) would be too long (D-8)"),
            Ok(Disposition::Deviation {
                reason: "it (the body) would be too long".to_owned(),
                decision: "D-8".to_owned()
            })
        );
        for text in [
            "deviation: without a decision",
            "deviation: x (E-1)",
            "deviation: x (D-)",
            "deviation: x (D-8).",
        ] {
            assert!(disposition(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_malformed_requirement_is_named_with_its_line() {
        for (line, named) in [
            ("C-001 1.4 – HTTP.", "1 fields"),
            ("C-001\t1.4\t–", "3 fields"),
            ("C-001\t1.4\t–\tHTTP.\tpending: x\tmore", "6 fields"),
            ("C-1\t1.4\t–\tHTTP.", "\"C-1\""),
            ("C-0001\t1.4\t–\tHTTP.", "\"C-0001\""),
            ("C-001\t\t–\tHTTP.", "no section"),
            ("C-001\t1.4\tmust\tHTTP.", "\"must\""),
            ("C-001\t1.4\t–\t", "sentence"),
            ("C-001\t1.4\t–\tHTTP.\t", "no reason"),
            ("C-001\t1.4\t–\tHTTP.\tpending:", "no reason"),
            ("C-001\t1.4\t–\tHTTP.\tlater: x", "\"later\""),
        ] {
            let (requirements, problems) = parse(&format!("# table\n{line}\n"));
            assert_eq!(requirements, [], "{line}");
            assert_eq!(problems.len(), 1);
            assert!(
                problems[0].contains("line 2") && problems[0].contains(named),
                "{line}: {problems:?}"
            );
        }
    }

    #[test]
    fn ids_go_up() {
        for table in [
            "C-002\t1\t–\tx\nC-001\t1\t–\tx",
            "C-002\t1\t–\tx\nC-002\t1\t–\tx",
        ] {
            let (requirements, problems) = parse(table);
            assert_eq!((requirements.len(), problems.len()), (1, 1));
            assert!(problems[0].contains("behind C-002"), "{problems:?}");
        }
    }
}
