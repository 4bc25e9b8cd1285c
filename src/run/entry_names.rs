//! What an entry of the list is called in a task's command: its path, and `{rel}`.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::record::inputs::Source;
use crate::record::rel::RelPaths;
use crate::template::{Template, Token};

/// What entries are called in the tasks of a launch.
#[derive(Debug, Clone)]
pub struct EntryNames {
    /// Unless no command asks for it.
    rel: Option<RelPaths>,
    /// What relative entries are relative to, where tasks don't run there.
    folder: Option<PathBuf>,
}

impl EntryNames {
    /// For tasks of `template` that run in the folder that relative entries mean.
    pub fn new(template: &Template, source: &Source) -> Self {
        Self { rel: template.uses(Token::Rel).then(|| RelPaths::of(source)), folder: None }
    }

    /// For tasks that run elsewhere than in `folder`, which relative entries mean.
    #[must_use]
    pub fn seen_from_elsewhere(self, folder: &Path) -> Self {
        Self { folder: Some(folder.to_owned()), ..self }
    }

    /// What `{}` is. A relative entry that is there in the folder it is relative to has to be called by its absolute path
    /// elsewhere; what is not there, such as the name of a target, is text.
    pub fn path<'e>(&self, entry: &'e OsStr) -> Cow<'e, OsStr> {
        let Some(folder) = self.folder.as_ref().filter(|_| Path::new(entry).is_relative()) else {
            return Cow::Borrowed(entry);
        };
        let path = folder.join(entry);
        let is_text = path.symlink_metadata().is_err_and(|error| {
            matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename
            )
        });
        if is_text { Cow::Borrowed(entry) } else { Cow::Owned(path.into_os_string()) }
    }

    /// What `{rel}` is.
    pub fn rel<'e>(&self, entry: &'e OsStr) -> &'e OsStr {
        self.rel.as_ref().map_or(entry, |rel| rel.of_entry(entry))
    }
}
