//! One name for each path: folders are resolved, so that neither `..` nor links give a path two names.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

/// How many folders are cached: those of the last tasks.
const MOST: usize = 100_000;

/// No longer path can be that of a file.
const LONGEST: usize = 4096;

/// The real paths of folders. Each is resolved once.
#[derive(Debug, Default)]
pub(super) struct RealPlaces {
    folders: RefCell<HashMap<OsString, RealFolder>>,
}

#[derive(Debug, Clone)]
struct RealFolder {
    path: PathBuf,
    is_there: bool,
}

impl RealPlaces {
    /// Where a file of this absolute path is, or would be; if it is a link, where that is.
    pub(super) fn place(&self, path: &Path) -> PathBuf {
        match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) => self.folder(folder).join(name),
            _ => self.folder(path),
        }
    }

    /// Where the folder of this absolute path is, or would be: in what is not there, `..` takes back the name before it.
    pub(super) fn folder(&self, path: &Path) -> PathBuf {
        if path.as_os_str().len() > LONGEST {
            return path.to_owned();
        }
        let mut folders = self.folders.borrow_mut();
        if let Some(known) = folders.get(path.as_os_str()) {
            return known.path.clone();
        }
        if folders.len() >= MOST {
            folders.clear();
        }
        let (mut named, mut real) = (PathBuf::new(), RealFolder { path: PathBuf::new(), is_there: true });
        for component in path.components() {
            named.push(component);
            real = match folders.get(named.as_os_str()) {
                Some(known) => known.clone(),
                None => real.then(component),
            };
            folders.entry(named.clone().into_os_string()).or_insert_with(|| real.clone());
        }
        // The same by the name that was asked for, which may have double slashes.
        folders.insert(path.as_os_str().to_owned(), real.clone());
        real.path
    }
}

/// Which files of folders are links: each folder is listed once, and nothing else is looked at.
#[derive(Debug, Default)]
pub(super) struct FolderLinks(HashMap<PathBuf, HashSet<OsString>>);

impl FolderLinks {
    /// Where the link at this real place leads; `None` where there is none, or it leads nowhere.
    pub(super) fn target(&mut self, place: &Path) -> Option<PathBuf> {
        let (folder, name) = (place.parent()?, place.file_name()?);
        if !self.0.contains_key(folder) {
            if self.0.len() >= MOST {
                self.0.clear();
            }
            self.0.insert(folder.to_owned(), links_in(folder));
        }
        let is_link = self.0.get(folder)?.contains(name);
        if is_link { place.canonicalize().ok() } else { None }
    }
}

/// The names of the links in a folder; of one that can't be listed, none.
fn links_in(folder: &Path) -> HashSet<OsString> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    links.map(|entry| entry.file_name()).collect()
}

impl RealFolder {
    fn then(mut self, component: Component<'_>) -> Self {
        match component {
            Component::CurDir => self,
            // The parent of a real folder is one, too, and is there if that is.
            Component::ParentDir => {
                self.path.pop();
                self.is_there = self.is_there || self.path.symlink_metadata().is_ok();
                self
            }
            Component::RootDir | Component::Prefix(_) | Component::Normal(_) => {
                self.within(component.as_os_str())
            }
        }
    }

    fn within(mut self, name: &OsStr) -> Self {
        self.path.push(name);
        let found = if self.is_there { self.path.symlink_metadata().ok() } else { None };
        self.is_there = found.is_some();
        if found.is_some_and(|found| found.is_symlink())
            && let Ok(real) = self.path.canonicalize()
        {
            self.path = real;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::RealPlaces;

    #[test]
    fn each_place_has_one_name() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("data/deep")).unwrap();
        symlink("data/deep", root.join("link")).unwrap();
        symlink("nowhere", root.join("dangling")).unwrap();
        std::fs::write(root.join("data/file"), "").unwrap();
        symlink("data/file", root.join("file")).unwrap();
        let places = RealPlaces::default();
        for (named, real) in [
            ("data/x", "data/x"),
            ("data//./x", "data/x"),
            ("data/deep/../x", "data/x"),
            // Through the link, the folder above is that of its target.
            ("link/x", "data/deep/x"),
            ("link/../x", "data/x"),
            ("link/new/../../x", "data/x"),
            ("new/../link/x", "data/deep/x"),
            ("new/a/../../data/x", "data/x"),
            ("new/a/../b/x", "new/b/x"),
            ("dangling/x", "dangling/x"),
            // The file itself would be replaced, not what it leads to.
            ("file", "file"),
        ] {
            assert_eq!(places.place(&root.join(named)), root.join(real), "{named}");
        }
        assert_eq!(places.folder(&root.join("link")), root.join("data/deep"));
        for (named, real) in [("/../../none/x", "/none/x"), ("/", "/"), ("/none/../..", "/")] {
            assert_eq!(places.place(Path::new(named)), Path::new(real), "{named}");
        }
        let long = Path::new("/").join("a/".repeat(100_000));
        assert_eq!(places.folder(&long), long);
    }

    #[test]
    fn a_folder_is_looked_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (places, link) = (RealPlaces::default(), root.join("link"));
        symlink("/", &link).unwrap();
        assert_eq!(places.place(&link.join("a")), Path::new("/a"));
        std::fs::remove_file(&link).unwrap();
        assert_eq!(places.place(&link.join("b")), Path::new("/b"));
    }
}
