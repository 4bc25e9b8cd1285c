//! What the platform makes of a launch request, as a small model: its server is written in Java, fills a YAML template,
//! and hands that to Kubernetes.
//!
//! Read from the public sources of opencadc/science-platform (2026-08): the `args` of a request are split with
//! `split(" ")`; each piece is written between double quotes into the template with `String.replaceAll`, in whose
//! replacement `\x` is `x`, and `$` a reference to a group, of which there are none; each `env` is split with
//! `split("=")` and used if that gives two pieces. From Kubernetes: `$(NAME)` in a command or its arguments is replaced
//! where the container has that variable, and `$$` is `$`.

use std::collections::BTreeMap;

/// What is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    /// Program and arguments; none where the image's own are used.
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
}

/// A request that is answered with an error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(super) &'static str);

/// The container for the pairs of one request, of a user whose home is `home`.
pub(crate) fn container(query: &[(String, String)], home: &str) -> Result<Container, Refused> {
    let all = |name: &'static str| {
        query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    };
    let mut env = BTreeMap::new();
    for variable in all("env") {
        if let [name, value] = split(variable, "=").as_slice() {
            env.insert(through_template(name)?, through_template(value)?);
        }
    }
    let cores = all("cores").next().unwrap_or("1");
    for (name, value) in
        [("HOME", home), ("PWD", home), ("OMP_NUM_THREADS", cores), ("skaha_sessionid", "abcd1234")]
    {
        env.insert(name.to_owned(), value.to_owned());
    }
    let words = all("cmd").map(str::to_owned).chain(all("args").flat_map(|args| split(args, " ")));
    let argv = words.map(|word| through_template(&word).map(|word| expanded(&word, &env)));
    Ok(Container { argv: argv.collect::<Result<_, _>>()?, env })
}

/// Java's `String.split`: empty strings at the end are left out, others are not.
fn split(text: &str, separator: &str) -> Vec<String> {
    let mut parts: Vec<String> = text.split(separator).map(str::to_owned).collect();
    while parts.len() > 1 && parts.last().is_some_and(String::is_empty) {
        parts.pop();
    }
    parts
}

/// What a YAML reader finds where `"word"` was put in by `replaceAll`.
fn through_template(word: &str) -> Result<String, Refused> {
    let mut written = String::new();
    let quoted = format!("\"{word}\"");
    let mut symbols = quoted.chars();
    while let Some(symbol) = symbols.next() {
        match symbol {
            '\\' => written.extend(symbols.next()),
            '$' => return Err(Refused("replaceAll: no such group")),
            _ => written.push(symbol),
        }
    }
    double_quoted(&written)
}

/// YAML's double-quoted style: escapes, and line breaks that fold into a space.
fn double_quoted(text: &str) -> Result<String, Refused> {
    const BROKEN: Refused = Refused("YAML: not one double-quoted text");
    let mut value = String::new();
    let mut symbols = text.strip_prefix('"').ok_or(BROKEN)?.chars().peekable();
    while let Some(symbol) = symbols.next() {
        match symbol {
            '"' => return if symbols.next().is_none() { Ok(value) } else { Err(BROKEN) },
            '\\' => value.push(match symbols.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('0') => '\0',
                Some(same @ ('\\' | '"' | '/' | ' ')) => same,
                _ => return Err(BROKEN),
            }),
            '\n' => {
                value.truncate(value.trim_end_matches([' ', '\t']).len());
                let mut breaks = 1;
                while let Some(blank) = symbols.next_if(|next| matches!(next, ' ' | '\t' | '\n')) {
                    breaks += usize::from(blank == '\n');
                }
                value.push_str(&if breaks == 1 { " ".to_owned() } else { "\n".repeat(breaks - 1) });
            }
            other => value.push(other),
        }
    }
    Err(BROKEN)
}

/// Kubernetes' `$(NAME)`.
fn expanded(word: &str, env: &BTreeMap<String, String>) -> String {
    let mut value = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        value.push_str(&rest[..at]);
        rest = &rest[at..];
        let name = rest.strip_prefix("$(").and_then(|rest| rest.split_once(')')).map(|(name, _)| name);
        let (text, length) = match name {
            _ if rest.starts_with("$$") => ("$", 2),
            Some(name) => match env.get(name) {
                Some(known) => (known.as_str(), name.len() + 3),
                None => (&rest[..name.len() + 3], name.len() + 3),
            },
            None => ("$", 1),
        };
        value.push_str(text);
        rest = &rest[length..];
    }
    value + rest
}
