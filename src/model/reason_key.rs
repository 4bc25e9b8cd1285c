//! The key by which failures of many files are recognised as the same: parts that differ from file to file, or from one attempt to the
//! next, are ignored.

/// A name with this few letters may be part of any word.
const SHORT: usize = 3;

/// A number behind one of these words says what is wrong, or where.
const TELLING: [&str; 9] = ["code", "status", "exit", "errno", "error", "signal", "http", "line", "version"];

/// This many hexadecimal digits are an address or an id.
const ID: usize = 8;

/// This many letters and digits after `tmp` are a random name.
const RANDOM: usize = 6;

/// What the names of tasks' temporary folders begin with.
const OWN: &str = "/cr-";

/// The last line of a failure without what is specific to its file, at `path`, or to this attempt: names derived from the file's,
/// numbers, times, addresses, temporary folders.
pub(super) fn reason_key(last_words: &str, path: &str) -> String {
    let line = without_random_names(&without_names(last_words, path));
    let mut key = String::with_capacity(line.len());
    let (mut rest, mut before) = (line.as_str(), "");
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|next: char| !next.is_alphanumeric()).unwrap_or(rest.len());
        if length == 0 {
            key.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (word, behind) = rest.split_at(length);
        if is_number(word) && !TELLING.iter().any(|telling| before.eq_ignore_ascii_case(telling)) {
            push_number(&mut key);
        } else {
            key.push_str(word);
        }
        (rest, before) = (behind, word);
    }
    key
}

/// With `{}` for the path, the folder and the names of the file.
fn without_names(line: &str, path: &str) -> String {
    let path = path.trim_end_matches('/');
    let (folder, base) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = base.rsplit_once('.').map_or(base, |(stem, _)| stem);
    let shortest = base.split_once('.').map_or(base, |(stem, _)| stem);
    let names = [path, folder, base, stem, shortest];
    let names = names.into_iter().filter(|name| name.len() > SHORT);
    names.fold(line.to_owned(), |line, name| line.replace(name, "{}"))
}

/// Without the random part of names such as `tmpx3_b1lz9` and `tmp.aB3dE6gH8i`, as Python and `mktemp` make them, and of the
/// names of tasks' own temporary folders.
fn without_random_names(line: &str) -> String {
    let without = |line: &str, prefix: &str, cut: fn(&str) -> &str| {
        let mut parts = line.split(prefix);
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| text + prefix + cut(part))
    };
    let line = without(line, OWN, |part| {
        let behind = after_name(part);
        behind.strip_prefix('/').map_or(behind, after_name)
    });
    without(&line, "/tmp", |part| {
        let behind = after_name(part.strip_prefix('.').unwrap_or(part));
        if part.len() - behind.len() < RANDOM { part } else { behind }
    })
}

/// What comes after letters, digits and underscores.
fn after_name(text: &str) -> &str {
    text.trim_start_matches(|next: char| next.is_ascii_alphanumeric() || next == '_')
}

/// Whether a word is a number, a time, or an address; not one such as `float32`.
fn is_number(word: &str) -> bool {
    let is_id = || word.len() >= ID && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    word.starts_with(|first: char| first.is_ascii_digit())
        || (word.contains(|any: char| any.is_ascii_digit()) && is_id())
}

/// Adds `#`, which also stands for a sign before the number, and for several numbers such as those of a time.
fn push_number(key: &mut String) {
    let is_sign = |sign: char| matches!(sign, '-' | '+');
    let joins = |between: char| is_sign(between) || matches!(between, '.' | ',' | ':' | '/');
    if let Some(before) = key.strip_suffix(joins)
        && (before.ends_with('#') || (key.ends_with(is_sign) && !before.ends_with(char::is_alphanumeric)))
    {
        key.truncate(key.len() - 1);
    }
    if !key.ends_with('#') {
        key.push('#');
    }
}

#[cfg(test)]
mod tests {
    use super::reason_key;

    #[test]
    fn what_differs_for_one_reason_counts_for_nothing() {
        for (number, (one, other)) in [
            ("/data/n1/obs_1.fits: no WCS", "/data/n2/obs_2.fits: no WCS"),
            ("obs_1: no WCS", "obs_2: no WCS"),
            ("cannot write /data/n1/cat/obs_1.cat", "cannot write /data/n2/cat/obs_2.cat"),
            ("12:01:02,345 ERROR no WCS", "9:59:00,1 ERROR no WCS"),
            ("2026-11-28T12:01:02.345Z ERROR no WCS", "2026-11-29T01:00:00Z ERROR no WCS"),
            ("index 7 is out of bounds", "index 12 is out of bounds"),
            ("flux of -0.5 at 1e-05", "flux of 3 at 0.2"),
            ("worker 4711 died", "worker 13 died"),
            ("<Table at 0x7f3a5c001d90> is empty", "<Table at 0x55d0> is empty"),
            ("job 5f3759df2c is gone", "job 00ab12cd34 is gone"),
            ("can't read /tmp/tmpx3_b1lz9/a", "can't read /tmp/tmpnolettr/a"),
            ("can't read /tmp/cr-x1Yz/a/b", "can't read /tmp/cr-AbCd/1z/b"),
            ("can't read /scratch/tmp.aB3dE6gH8i", "can't read /scratch/tmp.zzzzzzzzzz"),
        ]
        .into_iter()
        .enumerate()
        {
            let keys = [(one, "/data/n1/obs_1.fits"), (other, "/data/n2/obs_2.fits")]
                .map(|(words, path)| reason_key(words, path));
            assert_eq!(keys[0], keys[1], "{number}");
        }
    }

    #[test]
    fn what_tells_reasons_apart_counts() {
        for (one, other) in [
            ("exit code 1", "exit code 2"),
            ("[Errno 2] no such thing", "[Errno 28] no such thing"),
            ("HTTP 404", "HTTP 500"),
            ("at line 12", "at line 13"),
            ("no float32", "no float64"),
            ("/arc/bias.fits is missing", "/arc/flat.fits is missing"),
            ("/tmp/a is missing", "/tmp/b is missing"),
        ] {
            assert_ne!(reason_key(one, "/data/x.fits"), reason_key(other, "/data/x.fits"));
        }
    }
}
