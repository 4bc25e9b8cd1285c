//! What `{rel}` stands for: an entry's path below the fixed part of the pattern that found it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::discover::{fixed_part, plain_path};
use crate::record::inputs::InputSpec;
use crate::text::base_name;

/// What `{rel}` is relative to, for all entries of a run.
#[derive(Debug, Clone)]
pub enum RelPaths {
    /// Nothing, as entries of a given list have no pattern: `{rel}` is the whole entry without leading slashes. Products of
    /// other runs each have a `rel` of their own.
    Whole,
    /// The fixed parts of the run's patterns.
    Below(HashSet<Vec<u8>>),
}

impl RelPaths {
    /// From a run's source. A plain path counts as a fixed part, in case it is a directory, and so does its folder, in case
    /// it is a file.
    pub fn of(source: &InputSpec) -> Self {
        let InputSpec::Patterns { patterns, cwd, .. } = source else { return Self::Whole };
        let cwd = cwd.as_ref().map_or(Path::new("/"), |cwd| Path::new(&cwd.0));
        let mut fixed_parts: HashSet<Vec<u8>> = HashSet::with_capacity(patterns.len() + 1);
        for pattern in patterns {
            let Some(path) = plain_path(&pattern.0, cwd) else {
                fixed_parts.insert(fixed_part(&pattern.0, cwd).into_os_string().into_vec());
                continue;
            };
            // Thousands of plain paths are usually in few folders.
            let folder = path.parent().map(|folder| folder.as_os_str().as_bytes());
            if let Some(folder) = folder.filter(|folder| !fixed_parts.contains(*folder)) {
                fixed_parts.insert(folder.to_vec());
            }
            fixed_parts.insert(path.into_os_string().into_vec());
        }
        Self::Below(fixed_parts)
    }

    /// The part of `path` below the longest fixed part that contains it: the list does not say which pattern found an
    /// entry, and where several could have, the nearest folder is the least surprising.
    pub fn of_entry<'a>(&self, path: &'a OsStr) -> &'a OsStr {
        let Self::Below(fixed_parts) = self else { return relative(path) };
        let bytes = path.as_bytes();
        // From the longest folder to the root.
        let below = memchr::memrchr_iter(b'/', bytes).find(|slash| {
            let folder = if *slash == 0 { b"/" } else { &bytes[..*slash] };
            fixed_parts.contains(folder)
        });
        below.map_or_else(|| base_name(path), |slash| relative(OsStr::from_bytes(&bytes[slash..])))
    }
}

fn relative(path: &OsStr) -> &OsStr {
    let bytes = path.as_bytes();
    let start = bytes.iter().position(|byte| *byte != b'/').unwrap_or(bytes.len());
    OsStr::from_bytes(&bytes[start..])
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::RelPaths;
    use crate::discover::EntryType;
    use crate::record::inputs::InputSpec;

    #[test]
    fn rel_is_the_path_below_the_fixed_part() {
        let cases = [
            (&["*/*.fits"][..], "/here/n1/a.fits", "n1/a.fits"),
            (&["./n1/"], "/here/n1/a.fits", "a.fits"),
            (&["n1"], "/here/n1/n2/a.fits", "n2/a.fits"),
            (&["../there/*"], "/here/../there/a.fits", "a.fits"),
            (&["/data/*/*.fits"], "/data/n1/a.fits", "n1/a.fits"),
            (&["/data/**/*.fits"], "/data/a.fits", "a.fits"),
            (&["/data"], "/data/n1/a.fits", "n1/a.fits"),
            (&["/data/n1/a.fits"], "/data/n1/a.fits", "a.fits"),
            (&["/data/**", "/data/n1/*"], "/data/n1/a.fits", "a.fits"),
            (&["/*/x"], "/a/x", "a/x"),
            (&["/dat*"], "/data", "data"),
        ];
        for (patterns, path, expected) in cases {
            let source = InputSpec::Patterns {
                patterns: patterns.iter().map(|pattern| OsStr::new(pattern).into()).collect(),
                cwd: Some(OsStr::new("/here").into()),
                exclude: Vec::new(),
                entry_type: EntryType::File,
            };
            let rel = RelPaths::of(&source);
            assert_eq!(rel.of_entry(OsStr::new(path)), OsStr::new(expected), "{patterns:?} {path}");
        }
        let given = RelPaths::of(&InputSpec::List { file: OsStr::new("-").into(), null: false });
        assert_eq!(given.of_entry(OsStr::new("/x/y")), OsStr::new("x/y"));
        assert_eq!(given.of_entry(OsStr::new("NGC 1275")), OsStr::new("NGC 1275"));
    }
}
