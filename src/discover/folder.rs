//! A folder on the path of a walk, and whether a link leads back to it or to one above it.

use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::ask::{Answer, Identity, look_through};

/// A folder as it was reached. Its identity, and those of the folders above, are looked up only when a link is met.
#[derive(Debug)]
pub(super) struct Folder {
    /// Absolute, as walked.
    pub(super) path: PathBuf,
    identity: OnceLock<Option<Identity>>,
    above: Above,
}

#[derive(Debug)]
enum Above {
    Folder(Arc<Folder>),
    /// Nothing, as a walk starts here: the folders of the path up to it.
    Start(OnceLock<Vec<Identity>>),
}

impl Folder {
    pub(super) fn start(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, identity: OnceLock::new(), above: Above::Start(OnceLock::new()) })
    }

    /// `path` is the path of a folder in `parent`.
    pub(super) fn below(parent: &Arc<Self>, path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, identity: OnceLock::new(), above: Above::Folder(Arc::clone(parent)) })
    }

    /// Whether a walk starts here.
    pub(super) fn is_start(&self) -> bool {
        matches!(self.above, Above::Start(_))
    }

    /// Whether this folder, or one above it on the path as walked, is `target`: a link from here to there is a cycle.
    pub(super) fn lies_in(&self, target: Identity) -> bool {
        let mut folder = self;
        loop {
            let identity = folder.identity.get_or_init(|| identity_of(&folder.path));
            if *identity == Some(target) {
                return true;
            }
            match &folder.above {
                Above::Folder(parent) => folder = parent,
                Above::Start(along) => {
                    return along.get_or_init(|| identities_along(&folder.path)).contains(&target);
                }
            }
        }
    }
}

/// `None` for a folder that can't be looked at.
fn identity_of(path: &Path) -> Option<Identity> {
    match look_through(path) {
        Ok(Answer::Is(info)) => Some(info.identity),
        Ok(Answer::Nothing | Answer::Denied) | Err(_) => None,
    }
}

/// The folder at `path` and those above it, as the path is walked: `/l/x` is in the target of the link `/l`, and in `/`.
/// The parent that a `..` means does not follow from the text, so the path is resolved up to the last one.
pub(super) fn identities_along(path: &Path) -> Vec<Identity> {
    let mut rest: Vec<Component> = path.components().collect();
    let resolved =
        rest.iter().rposition(|component| *component == Component::ParentDir).map_or(0, |at| at + 1);
    let head: PathBuf = rest.drain(..resolved).collect();
    let mut here = if resolved > 0 { head.canonicalize().unwrap_or(head) } else { PathBuf::new() };
    let mut along: Vec<Identity> = here.ancestors().filter_map(identity_of).collect();
    for component in rest {
        here.push(component);
        along.extend(identity_of(&here));
    }
    along
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_left_by_two_dots_is_not_above() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::create_dir_all(root.join("c")).unwrap();
        symlink(root.join("a/b"), root.join("l")).unwrap();
        let of = |path: &str| identity_of(&root.join(path)).unwrap();
        let through_dots = Folder::start(root.join("c/../a/b"));
        assert!(through_dots.lies_in(of("a")));
        assert!(through_dots.lies_in(of(".")));
        assert!(!through_dots.lies_in(of("c")));
        let through_link = Folder::start(root.join("l/.."));
        assert!(through_link.lies_in(of("a")));
        assert!(!through_link.lies_in(of("a/b")));
        let below = Folder::below(&Folder::start(root.join("l")), root.join("l/x"));
        assert!(below.lies_in(of("a/b")));
        assert!(!below.lies_in(of("a")), "as walked, the link lies in the root alone");
    }
}
