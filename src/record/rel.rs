//! What `{rel}` stands for: an entry's path below the fixed part of the pattern that found it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::discover::fixed_part;
use crate::record::inputs::Source;
use crate::text::base_name;

/// The part of `path` below the longest fixed part among the run's patterns that contains it: the list does not say
/// which pattern found an entry, and where several could have, the nearest folder is the least surprising.
///
/// A directory given as it is, is the fixed part of what lies in it; a file given as it is has its folder. Entries of
/// a given list have no pattern: all of the entry, made relative.
pub fn rel<'a>(source: &Source, path: &'a OsStr) -> &'a OsStr {
    let below = |fixed: &Path| {
        let rest = path.as_bytes().strip_prefix(fixed.as_os_str().as_bytes())?;
        if rest.is_empty() {
            return None;
        }
        let ends_in_slash = fixed.as_os_str().as_bytes().ends_with(b"/");
        (ends_in_slash || rest.starts_with(b"/")).then(|| relative(OsStr::from_bytes(rest)))
    };
    match source {
        Source::FilesFrom { .. } => relative(path),
        Source::Patterns { patterns, cwd, .. } => {
            let cwd = cwd.as_ref().map_or(Path::new("/"), |cwd| Path::new(&cwd.0));
            patterns
                .iter()
                // With a component more, what is a plain folder is fixed as a whole.
                .flat_map(|pattern| {
                    [
                        fixed_part(Path::new(&pattern.0).join("*").as_os_str(), cwd),
                        fixed_part(&pattern.0, cwd),
                    ]
                })
                .filter_map(|fixed| below(&fixed))
                .min_by_key(|rest| rest.len())
                .unwrap_or_else(|| base_name(path))
        }
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

    use super::rel;
    use crate::discover::EntryType;
    use crate::record::inputs::Source;

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
            let source = Source::Patterns {
                patterns: patterns.iter().map(|pattern| OsStr::new(pattern).into()).collect(),
                cwd: Some(OsStr::new("/here").into()),
                exclude: Vec::new(),
                entry_type: EntryType::File,
            };
            assert_eq!(rel(&source, OsStr::new(path)), OsStr::new(expected), "{patterns:?} {path}");
        }
        let given = Source::FilesFrom { file: OsStr::new("-").into(), null: false };
        assert_eq!(rel(&given, OsStr::new("/x/y")), OsStr::new("x/y"));
        assert_eq!(rel(&given, OsStr::new("NGC 1275")), OsStr::new("NGC 1275"));
    }
}
