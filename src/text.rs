//! Byte strings of the system (paths, arguments) as JSON: text where they are UTF-8, base64 where they are not.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A byte string that keeps all its bytes in JSON: `"text"`, or `{"base64": "..."}` for what is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct OsText(pub OsString);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum TextForm {
    Text(String),
    Bytes { base64: String },
}

impl Serialize for OsText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = match self.0.to_str() {
            Some(text) => TextForm::Text(text.to_owned()),
            None => TextForm::Bytes { base64: encode(&self.0) },
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for OsText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match TextForm::deserialize(deserializer)? {
            TextForm::Text(text) => Ok(Self(text.into())),
            TextForm::Bytes { base64 } => decode(&base64).map(Self).map_err(serde::de::Error::custom),
        }
    }
}

impl<T: Into<OsString>> From<T> for OsText {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

/// The two JSON members by which lists and records name a path: `path`, and `path_base64` where it is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathText {
    /// The path as text; in a record also for one that is not UTF-8, readable then, but not exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The exact bytes of a path that is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_base64: Option<String>,
}

impl PathText {
    /// Exactly one member: what the input list holds.
    pub fn exact(path: &OsStr) -> Self {
        match path.to_str() {
            Some(text) => Self { path: Some(text.to_owned()), path_base64: None },
            None => Self { path: None, path_base64: Some(encode(path)) },
        }
    }

    /// A readable `path` always, with `path_base64` beside it where that is not exact: what records hold.
    pub fn readable(path: &OsStr) -> Self {
        Self { path: Some(path.to_string_lossy().into_owned()), ..Self::exact(path) }
    }

    /// The path with all its bytes.
    ///
    /// # Errors
    /// When it is not base64, or there is no path.
    pub fn bytes(&self) -> Result<OsString, String> {
        match (&self.path_base64, &self.path) {
            (Some(base64), _) => decode(base64),
            (None, Some(path)) => Ok(path.into()),
            (None, None) => Err("neither `path` nor `path_base64`".to_owned()),
        }
    }
}

/// The base64 of a byte string.
pub fn encode(bytes: &OsStr) -> String {
    STANDARD.encode(bytes.as_bytes())
}

/// The byte string that [`encode`] was given.
///
/// # Errors
/// When it is not base64.
pub fn decode(base64: &str) -> Result<OsString, String> {
    STANDARD.decode(base64).map(OsString::from_vec).map_err(|error| format!("not base64: {error}"))
}

/// The path that an entry is, where what is relative is so to `folder`.
pub fn seen_from<'e>(folder: &Path, entry: &'e OsStr) -> Cow<'e, Path> {
    let entry = Path::new(entry);
    if entry.is_absolute() { Cow::Borrowed(entry) } else { Cow::Owned(folder.join(entry)) }
}

/// The last component of a path or list entry, as people and records name it. Trailing slashes do not count.
pub fn base_name(path: &OsStr) -> &OsStr {
    let bytes = path.as_bytes();
    let end = bytes.iter().rposition(|byte| *byte != b'/').map_or(bytes.len().min(1), |last| last + 1);
    let start = bytes[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    OsStr::from_bytes(if start < end { &bytes[start..end] } else { &bytes[..end] })
}

#[cfg(test)]
mod tests {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    use super::{OsText, PathText, base_name, decode};

    #[test]
    fn bytes_that_are_not_utf8_survive_json() {
        let odd = OsString::from_vec(b"/data/\xff\x00x".to_vec());
        let json = serde_json::to_string(&OsText(odd.clone())).unwrap();
        assert_eq!(serde_json::from_str::<OsText>(&json).unwrap().0, odd);
        assert_eq!(PathText::exact(&odd).path, None);
        assert!(PathText::readable(&odd).path.unwrap().starts_with("/data/"));
        assert_eq!(decode(&PathText::readable(&odd).path_base64.unwrap()).unwrap(), odd);
        assert_eq!(PathText::exact(OsStr::new("/a")).path_base64, None);
        for path in [OsString::from("/a"), odd] {
            assert_eq!(PathText::exact(&path).bytes().unwrap(), path);
            assert_eq!(PathText::readable(&path).bytes().unwrap(), path);
        }
    }

    #[test]
    fn the_base_name_is_the_last_component() {
        for (path, base) in [
            ("/a/b.fits", "b.fits"),
            ("b", "b"),
            ("/a/b/", "b"),
            ("/", "/"),
            ("", ""),
            ("NGC 1275", "NGC 1275"),
        ] {
            assert_eq!(base_name(OsStr::new(path)).as_bytes(), base.as_bytes(), "{path}");
        }
    }
}
