//! What an entry of the list is called in a task's command: its path, and `{rel}`.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::record::inputs::InputSpec;
use crate::record::rel::RelPaths;
use crate::template::{Template, Token};

/// What entries are called in the tasks of a launch.
#[derive(Debug, Clone)]
pub struct EntryNames {
    /// `None` if no command needs it.
    rel: Option<RelPaths>,
    /// The folder that relative entries are relative to, where tasks run elsewhere.
    folder: Option<PathBuf>,
}

impl EntryNames {
    /// For tasks of `template` that run in the folder that relative entries are relative to.
    pub fn new(template: &Template, source: &InputSpec) -> Self {
        Self { rel: template.uses(Token::Rel).then(|| RelPaths::of(source)), folder: None }
    }

    /// For tasks that run elsewhere than in `folder`, to which relative entries are relative.
    #[must_use]
    pub fn seen_from_elsewhere(self, folder: &Path) -> Self {
        Self { folder: Some(folder.to_owned()), ..self }
    }

    /// What `{}` is. Where tasks run elsewhere, a relative entry that exists is called by its absolute path; one that does
    /// not exist, such as the name of a target, is text.
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

    /// What `{rel}` is for an entry, which may have its `own`.
    pub fn rel<'e>(&self, entry: &'e OsStr, own: Option<&'e OsStr>) -> &'e OsStr {
        own.unwrap_or_else(|| self.rel.as_ref().map_or(entry, |rel| rel.of_entry(entry)))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::{OsStr, OsString};

    use super::EntryNames;
    use crate::record::inputs::InputSpec;
    use crate::template::{Template, Vocabulary};

    #[test]
    fn an_entry_with_a_rel_of_its_own_is_called_by_that() {
        let template =
            Template::from_argv(&["cp", "{rel}"].map(OsString::from), &Vocabulary::default()).unwrap();
        let names = EntryNames::new(&template, &InputSpec::List { file: "-".into(), null: false });
        let (entry, own) = (OsStr::new("/out/n1/a.cat"), OsStr::new("n1/a.fits"));
        assert_eq!(names.rel(entry, None), "out/n1/a.cat");
        assert_eq!(names.rel(entry, Some(own)), own);
    }
}
