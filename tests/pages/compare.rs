//! Whether what was printed is what a page shows: the same but for `...` and for what differs from run to run.

/// Whether these lines are shown by those.
pub(super) fn is_shown(printed: &str, shown: &str) -> bool {
    let [printed, shown] = [printed, shown].map(|text| text.lines().map(steady).collect::<Vec<_>>());
    lines_match(&printed, &shown)
}

fn lines_match(printed: &[String], shown: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line == "..." => {
            (0..=printed.len()).any(|skipped| lines_match(&printed[skipped..], rest))
        }
        Some((line, rest)) => {
            printed.first().is_some_and(|first| line_matches(first, line)) && lines_match(&printed[1..], rest)
        }
    }
}

fn line_matches(printed: &str, shown: &str) -> bool {
    let Some((start, rest)) = shown.split_once("...") else { return printed == shown };
    let Some(mut left) = printed.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once("...").map_or((None, rest), |(middle, end)| (Some(middle), end));
    for piece in middle.into_iter().flat_map(|middle| middle.split("...")) {
        let Some((_, after)) = left.split_once(piece) else { return false };
        left = after;
    }
    left.ends_with(end)
}

/// What stands behind a number whose value differs from run to run.
const UNITS: [&str; 12] = ["ms", "s", "m", "h", "%", "B", "KiB", "MiB", "GiB", "/s", "CPU", "CPUs"];

/// The line with `#` for what differs from run to run, and single blanks.
fn steady(line: &str) -> String {
    let mut steady = String::new();
    let mut rest = line.trim_end();
    while let Some(first) = rest.chars().next() {
        let stands_alone =
            !steady.ends_with(|before: char| before.is_alphanumeric() || "_-./".contains(before));
        let length = if stands_alone { differing(&steady, rest) } else { 0 };
        let length = length.max(run_id(&steady, rest));
        if length > 0 {
            rest = &rest[length..];
            steady.push('#');
        } else {
            steady.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    let mut words: Vec<&str> = steady.split_whitespace().collect();
    for place in 1..words.len().saturating_sub(3) {
        if words[place].starts_with("task") && words[place + 1..place + 4] == ["at", "a", "time"] {
            words[place - 1..=place].copy_from_slice(&["#", "tasks"]);
        }
    }
    // 1m 3s, 25s
    words.join(" ").replace("# #", "#")
}

/// How many bytes a run id at the start of `text` has.
fn run_id(before: &str, text: &str) -> usize {
    let is_named = before == "run " || [" run ", "\"run\":\""].iter().any(|name| before.ends_with(name));
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    if is_named && end == 6 { end } else { 0 }
}

/// Whether a number behind this is a time in JSON, whose name says its unit: `"duration_s":`.
fn is_measured(before: &str) -> bool {
    before.trim_end().ends_with("_s\":")
}

/// How many bytes at the start are a quantity, a date or a version.
fn differing(before: &str, text: &str) -> usize {
    let length = |text: &str, part: fn(char) -> bool| text.find(|c| !part(c)).unwrap_or(text.len());
    let number = length(text, |c| c.is_ascii_digit());
    if number == 0 {
        return 0;
    }
    if text[number..].starts_with('-') && number == 4 {
        return length(text, |c| c.is_ascii_digit() || "-:.TZ".contains(c));
    }
    let whole = length(text, |c| c.is_ascii_digit() || c == '.');
    let whole = whole - usize::from(text[..whole].ends_with('.'));
    let after = text[whole..].strip_prefix(' ').unwrap_or(&text[whole..]);
    let unit = length(after, |c| c.is_alphanumeric() || "%/".contains(c));
    if UNITS.contains(&&after[..unit]) {
        return text.len() - after.len() + unit;
    }
    let is_version = text[number..whole].matches('.').count() == 2;
    if is_version || whole > number && is_measured(before) { whole } else { 0 }
}

#[test]
fn what_differs_from_run_to_run_counts_as_equal() {
    for (printed, shown) in [
        (
            "replica 1 of 1: 39 of 40 files ok (in 1.7s, CPU time 1m 3s, 24 % of 2 CPUs)",
            "replica 1 of 1: 39 of 40 files ok (in 25s, CPU time 0s, 1 % of 64 CPUs)",
        ),
        ("canfar-run 0.1.0: run 8n6jwc", "canfar-run 0.20.1: run k3v9x2"),
        (
            "{\"run\":\"8n6jwc\",\"t\":\"2026-11-28T10:24:43.585Z\",\"duration_s\":1.25}",
            "{\"run\":\"k3v9x2\",\"t\":\"2026-01-02T03:04:05.006Z\",\"duration_s\":0.1}",
        ),
        ("2 tasks at a time (2 CPUs)", "1 task at a time (1 CPU)"),
        ("a  1\nb\nc\nd", "a 1\n...\nd"),
        ("one, two and three", "one...and..."),
    ] {
        assert!(is_shown(printed, shown), "{printed}\n{shown}");
    }
    for (printed, shown) in [
        ("39 of 40 files", "38 of 40 files"),
        ("obs_0001.5", "obs_0001.6"),
        ("sky 691.46", "sky 691.47"),
        ("{\"sky\":691.46}", "{\"sky\":691.47}"),
        ("a\nb", "a"),
        ("a", "a\n...\nb"),
        ("one and two", "one...three"),
        ("canfar-run resume", "canfar-run status"),
    ] {
        assert!(!is_shown(printed, shown), "{printed}\n{shown}");
    }
}
