//! An interpreter's script that is not there: each task would fail for it, so nothing is begun.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::text::base_name;
use crate::units;

/// So many names are looked through for the nearest ones.
const MOST_NAMES: usize = 10_000;

/// So many of them are named.
const SHOWN: usize = 3;

/// Why a command can't run: it gives an interpreter a script that is certain not to exist in `folder`, where tasks start.
/// Without a folder only absolute names can be looked for.
pub(super) fn missing(words: &[OsString], folder: Option<&Path>) -> Option<String> {
    let script = script_of(words)?;
    let file = match folder {
        Some(folder) => folder.join(script),
        None => Some(PathBuf::from(script)).filter(|file| file.is_absolute())?,
    };
    // What storage does not tell is for the tasks to find out.
    if file.try_exists().unwrap_or(true) {
        return None;
    }
    let place = file.parent()?;
    let shown = units::path(script);
    let mut why = format!("the command names the script {shown}, which is not in {}", units::path(place));
    if Path::new(script).is_relative() {
        why.push_str(" (relative names are looked for where tasks start)");
    }
    let near = nearest(&base_name(file.as_os_str()).to_string_lossy(), place);
    why.push_str(&if near.is_empty() {
        ": correct it, or give its whole path".to_owned()
    } else {
        format!("; the nearest there: {}", near.join(", "))
    });
    Some(why)
}

/// The script that an interpreter is given; `None` where that is not certain.
fn script_of(words: &[OsString]) -> Option<&OsStr> {
    let (program, rest) = words.split_first()?;
    let program = base_name(program).to_str()?;
    let is_flag = |word: &OsStr| is_flag(program, word);
    let script = rest.iter().map(OsString::as_os_str).find(|word| !is_flag(word))?;
    let is_interpreter = is_python(program) || ["Rscript", "julia", "bash", "sh", "perl"].contains(&program);
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+@ ".contains(byte) || !byte.is_ascii();
    let bytes = script.as_bytes();
    let is_name = !bytes.is_empty() && !bytes.starts_with(b"-") && bytes.iter().all(is_plain);
    (is_interpreter && is_name).then_some(script)
}

fn is_python(program: &str) -> bool {
    let version = program.strip_prefix("python");
    version.is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

/// Whether a word is an option of the interpreter that takes no word after it. Of the others it is not known what follows.
fn is_flag(program: &str, word: &OsStr) -> bool {
    let letters: &[u8] = match program {
        "bash" | "sh" => b"eux",
        "perl" => b"wT",
        "Rscript" | "julia" => b"",
        _ => b"uBOsSEIqvb",
    };
    match word.as_bytes() {
        [b'-', b'-', name @ ..] => match program {
            "Rscript" => name == b"vanilla" || name.starts_with(b"no-"),
            "julia" => name.contains(&b'='),
            _ => false,
        },
        [b'-', flags @ ..] => !flags.is_empty() && flags.iter().all(|flag| letters.contains(flag)),
        _ => false,
    }
}

/// The names in a folder that differ least from this one.
fn nearest(name: &str, folder: &Path) -> Vec<String> {
    let most = (name.chars().count() / 3).max(2);
    let names = std::fs::read_dir(folder).into_iter().flatten().take(MOST_NAMES).flatten();
    let mut near: Vec<(usize, String)> = names
        .filter_map(|entry| {
            let other = entry.file_name().into_string().ok()?;
            let distance = strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
            (distance <= most && distance < other.chars().count()).then(|| (distance, units::path(&other)))
        })
        .collect();
    near.sort();
    near.into_iter().map(|(_, name)| name).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;

    fn missing(line: &str, folder: Option<&Path>) -> Option<String> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        super::missing(&words, folder)
    }

    #[test]
    fn a_script_that_is_not_there_is_refused_with_the_nearest_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["measure.py", "measures.py", "other.py"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let here = Some(folder.path());
        let why = missing("python3 mesure.py {}", here).unwrap();
        assert!(why.ends_with("; the nearest there: measure.py, measures.py"), "{why}");
        for wrong in [
            "/usr/bin/python3.12 -u -B x.py",
            "Rscript --vanilla x.R {}",
            "bash -eu x.sh",
            "julia --project=. x.jl",
        ] {
            let why = missing(wrong, here).unwrap();
            assert!(why.ends_with("correct it, or give its whole path"), "{why}");
        }
        assert!(missing("python /nowhere/at/all.py", None).is_some());
    }

    #[test]
    fn what_is_there_or_uncertain_is_left_to_the_tasks() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.py"), "").unwrap();
        let here = Some(folder.path());
        for line in [
            "python3 a.py {}",
            "python3 -c print(1) x.py",
            "python3 -m module x",
            "python3 - x.py",
            "python3 -W ignore x.py",
            "python3 {} x.py",
            "python3 $HOME/x.py",
            "python3 --version",
            "python3",
            "sh -c true",
            "bash -o pipefail x.sh",
            "Rscript -e x x.R",
            "julia -t 4 x.jl",
            "env python3 x.py",
            "pythonize x.py",
        ] {
            assert_eq!(missing(line, here), None, "{line}");
        }
        assert_eq!(missing("python3 x.py", None), None);
    }
}
