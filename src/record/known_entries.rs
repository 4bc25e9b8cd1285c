//! Which entries of several lists are the same file: known by the absolute path, or by the entry's text where that names no
//! file, such as a target's name.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Digests stand for paths: a list may have millions.
pub type EntryDigest = [u8; 16];

/// Entries of the lists so far, each with something that is known of it.
#[derive(Debug)]
pub struct KnownEntries<T> {
    /// By what the entry is known by.
    pub best: HashMap<EntryDigest, T>,
    /// What relative entries are known by, and which list they are from, by their text.
    texts: HashMap<EntryDigest, (EntryDigest, usize)>,
    folders: Folders,
}

impl<T> Default for KnownEntries<T> {
    fn default() -> Self {
        Self { best: HashMap::new(), texts: HashMap::new(), folders: Folders::default() }
    }
}

impl<T> KnownEntries<T> {
    /// What an entry of the list of this number is known by. `base_of` tells what relative entries of a list are relative to.
    pub fn key_of<'b>(
        &mut self,
        entry: &OsStr,
        number: usize,
        base_of: impl Fn(usize) -> &'b Path,
    ) -> EntryDigest {
        let text = Path::new(entry);
        let absolute = |number: usize| base_of(number).join(text);
        let key = digest(self.folders.without_dots(&absolute(number)).as_os_str());
        if text.is_absolute() || self.best.contains_key(&key) {
            return key;
        }
        match self.texts.entry(digest(entry)) {
            Entry::Vacant(first) => {
                first.insert((key, number));
                key
            }
            Entry::Occupied(_) if absolute(number).exists() => key,
            // That one is a file, so the text is nothing that others could have in common with it.
            Entry::Occupied(mut other) if absolute(other.get().1).exists() => {
                other.insert((key, number));
                key
            }
            Entry::Occupied(other) => other.get().0,
        }
    }
}

/// What a text is known by.
pub fn digest(text: &OsStr) -> EntryDigest {
    let mut digest = EntryDigest::default();
    digest.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..size_of::<EntryDigest>()]);
    digest
}

/// Folders that paths go up from, looked at once each.
#[derive(Debug, Default)]
struct Folders(HashMap<PathBuf, Option<PathBuf>>);

impl Folders {
    /// The path with as few `.` and `..` as it can be said with. Links stay, but for those that are gone up from.
    fn without_dots<'p>(&mut self, path: &'p Path) -> std::borrow::Cow<'p, Path> {
        let bytes = path.as_os_str().as_bytes();
        let may_have_dots =
            [&b"//"[..], b"/./", b"/../"].iter().any(|dots| memchr::memmem::find(bytes, dots).is_some())
                || bytes.starts_with(b".")
                || bytes.ends_with(b"/")
                || bytes.ends_with(b"/.")
                || bytes.ends_with(b"/..");
        if !may_have_dots {
            return path.into();
        }
        let mut plain = PathBuf::new();
        for component in path.components() {
            match component {
                Component::CurDir => {}
                Component::ParentDir => plain = self.above(plain),
                Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(component),
            }
        }
        plain.into()
    }

    fn above(&mut self, folder: PathBuf) -> PathBuf {
        if folder.as_os_str().is_empty() || folder.ends_with("..") {
            return folder.join("..");
        }
        let real = self.0.entry(folder.clone()).or_insert_with(|| {
            let is_link = folder.is_symlink();
            is_link.then(|| folder.canonicalize().ok()).flatten()
        });
        let mut above = real.clone().unwrap_or(folder);
        above.pop();
        above
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::Folders;

    #[test]
    fn one_file_has_one_path_whatever_dots_are_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("real/deep")).unwrap();
        symlink("real/deep", root.join("link")).unwrap();
        let mut folders = Folders::default();
        for (path, plain) in [
            ("a/b.fits", "a/b.fits"),
            ("a/.b/c..d", "a/.b/c..d"),
            ("./a//b/./c", "a/b/c"),
            ("a/b/", "a/b"),
            ("a/../b.fits", "b.fits"),
            ("not/there/../../b", "b"),
            // Up from where the link leads.
            ("link/../b", "real/b"),
            ("link/b", "link/b"),
        ] {
            let found = folders.without_dots(&root.join(path)).into_owned();
            assert_eq!(found, root.join(plain), "{path}");
        }
        let plain = |path: &str| Folders::default().without_dots(path.as_ref()).into_owned();
        assert_eq!(plain("/../../a"), std::path::Path::new("/a"));
        assert_eq!([plain("../a"), plain("./M31")], ["../a", "M31"].map(std::path::PathBuf::from));
    }
}
