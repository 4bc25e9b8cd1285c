//! The small files that a command names, such as `analyze.py`: their digests tell when results come from two versions.

use std::ffi::OsString;
use std::path::Path;

use crate::provenance::NamedFile;
use crate::text::OsText;

/// Scripts are smaller; what is larger is a program or data, and not read for this.
const SMALL: u64 = 1024 * 1024;

/// Of the words of a command, those that name small regular files, with their digests. Each once.
pub fn digests(words: &[OsString], cwd: &Path) -> Vec<NamedFile> {
    let mut files: Vec<NamedFile> = Vec::new();
    for word in words {
        let name = OsText(word.clone());
        if files.iter().any(|file| file.name == name) {
            continue;
        }
        if let Some(blake3) = digest(&cwd.join(word)) {
            files.push(NamedFile { name, blake3 });
        }
    }
    files
}

fn digest(path: &Path) -> Option<String> {
    let metadata = std::fs::metadata(path).ok()?;
    let is_small_file = metadata.is_file() && metadata.len() <= SMALL;
    let content = is_small_file.then(|| std::fs::read(path).ok()).flatten()?;
    Some(blake3::hash(&content).to_hex().to_string())
}

/// Names of the files whose content is another one in `now` than in `before`.
pub fn changed<'a>(before: &[NamedFile], now: &'a [NamedFile]) -> Vec<&'a OsText> {
    let differs =
        |file: &&NamedFile| before.iter().any(|old| old.name == file.name && old.blake3 != file.blake3);
    now.iter().filter(differs).map(|file| &file.name).collect()
}
