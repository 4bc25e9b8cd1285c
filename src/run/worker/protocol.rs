//! The requests that a worker gets, and what its answers mean.

use std::ffi::OsStr;
use std::path::PathBuf;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::json::{self, JsonFault, JsonKind};
use crate::products::declared::DeclaredProducts;
use crate::record::task_record::TaskResult;
use crate::run::almost_json::{AlmostJson, almost_object};
use crate::text::PathText;

/// The key by which an answer says that its task failed, if its value is a string.
const ERROR: &str = "error";

/// The key of where to write products, and of the one without a name among several.
pub const OUT: &str = "out";

/// The key of the row of a table.
pub const ROW: &str = "row";

/// What a worker is asked to do.
#[derive(Debug, Clone, Copy)]
pub struct TaskRequest<'a> {
    /// The file.
    pub path: &'a OsStr,
    /// Its index in the list.
    pub index: u64,
    /// The row of a table that it stands for, an object.
    pub row: Option<&'a [u8]>,
    /// Which attempt of the task, from 1.
    pub attempt: u32,
    /// A temporary folder.
    pub tmpdir: &'a OsStr,
    /// What each task makes.
    pub products: &'a DeclaredProducts,
    /// Where to write that.
    pub outs: &'a [PathBuf],
}

impl TaskRequest<'_> {
    /// Writes one line of JSON.
    pub fn write(&self, line: &mut Vec<u8>) {
        line.clear();
        // Plain data written to memory: neither has a way to fail.
        let written = serde_json::to_writer(&mut *line, self);
        debug_assert!(written.is_ok());
        line.push(b'\n');
    }

    /// What each product is called in the request, and where to write it.
    fn named_outs(&self) -> impl Iterator<Item = (&str, PathText)> {
        let names = self.products.names().map(|name| name.unwrap_or(OUT));
        names.zip(self.outs).map(|(name, out)| (name, PathText::readable(out.as_os_str())))
    }
}

/// A path that is not UTF-8 has its exact bytes in a second member; of several products, the paths are objects by their names.
impl Serialize for TaskRequest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        write_path(&mut members, "path", self.path)?;
        members.serialize_entry("index", &self.index)?;
        members.serialize_entry("attempt", &self.attempt)?;
        write_path(&mut members, "tmpdir", self.tmpdir)?;
        if let Some(row) = self.row.and_then(|row| serde_json::from_slice::<&RawValue>(row).ok()) {
            members.serialize_entry(ROW, row)?;
        }
        match self.outs {
            [] => {}
            [out] if self.products.is_one_without_name() => write_path(&mut members, OUT, out.as_os_str())?,
            _ => {
                let texts = self.named_outs().map(|(name, out)| (name, out.path.unwrap_or_default()));
                members.serialize_entry(OUT, &Members(texts.collect()))?;
                let exact = self.named_outs().filter_map(|(name, out)| Some((name, out.path_base64?)));
                let exact = Members(exact.collect());
                if !exact.0.is_empty() {
                    members.serialize_entry(&format!("{OUT}_base64"), &exact)?;
                }
            }
        }
        members.end()
    }
}

fn write_path<M: SerializeMap>(members: &mut M, name: &str, path: &OsStr) -> Result<(), M::Error> {
    members.serialize_entry(name, &path.to_string_lossy())?;
    match PathText::exact(path).path_base64 {
        Some(base64) => members.serialize_entry(&format!("{name}_base64"), &base64),
        None => Ok(()),
    }
}

/// An object, in this order.
struct Members<'a>(Vec<(&'a str, String)>);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// The meaning of an answer, of any kind of worker.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::run) enum TaskAnswer {
    /// The result; `None` is a function's that returned None.
    Returned(Option<TaskResult>),
    /// The task failed, for this reason.
    Raised(String),
    /// What was returned can't become a result, and why.
    Unfit(String),
    /// It can't be asked at all, and why.
    Refused {
        /// One line.
        why: String,
        /// Whether its module can't even be imported, so that what was printed says more.
        is_broken: bool,
    },
}

/// What a line of a worker's output is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RequestLine {
    /// An answer.
    Answer(TaskResult),
    /// An invalid answer, and why.
    Refused(String),
    /// Something else, and why it is no answer if it was meant as one.
    Log(Option<AlmostJson>),
}

/// Reads a line, without its end, that may be nested so deep.
pub(super) fn read_line(line: &[u8], depth: usize) -> RequestLine {
    if line.trim_ascii_start().first() != Some(&b'{') {
        return RequestLine::Log(almost_object(line));
    }
    match json::normalise(line, depth) {
        Ok(normal) if normal.kind == JsonKind::Object => RequestLine::Answer(TaskResult {
            is_object: true,
            non_finite: normal.non_finite as u64,
            json: normal.text.into_owned(),
        }),
        Err(error) if matches!(error.what, JsonFault::TooDeep { .. }) => {
            RequestLine::Refused(format!("the answer is not valid: {error}"))
        }
        Ok(_) | Err(_) => RequestLine::Log(almost_object(line)),
    }
}

/// Why the task failed according to the answer, if it did.
pub(super) fn error_of(answer: &TaskResult) -> Option<String> {
    let error = json::members(&answer.json).filter(|member| json::string_eq(member.key, ERROR)).last()?;
    (error.value.first() == Some(&b'"')).then(|| json::string_text(error.value).into_owned())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::{Path, PathBuf};

    use super::{RequestLine, TaskRequest, error_of, read_line};
    use crate::json::MAX_DEPTH;
    use crate::products::declared::DeclaredProducts;
    use crate::record::inputs::{DeclaredProduct, InputSpec};

    fn request(path: &[u8], products: &[Option<&str>], outs: &[&[u8]]) -> String {
        let declared =
            |name: Option<&str>| DeclaredProduct { name: name.map(str::to_owned), path: "{}.x".into() };
        let declared: Vec<_> = products.iter().copied().map(declared).collect();
        let source = InputSpec::List { file: "-".into(), null: false };
        let mut line = b"before".to_vec();
        let request = TaskRequest {
            path: OsStr::from_bytes(path),
            index: 7,
            row: None,
            attempt: 2,
            tmpdir: OsStr::new("/tmp/x"),
            products: &DeclaredProducts::new(&declared, &source, Path::new("/")).unwrap(),
            outs: &outs.iter().map(|out| PathBuf::from(OsStr::from_bytes(out))).collect::<Vec<_>>(),
        };
        request.write(&mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_request_is_one_line_whatever_the_path_holds() {
        assert_eq!(
            request(b"/a b\n\"c.fits", &[], &[]),
            "{\"path\":\"/a b\\n\\\"c.fits\",\"index\":7,\"attempt\":2,\"tmpdir\":\"/tmp/x\"}\n"
        );
        assert!(request(b"/\xff", &[], &[]).contains("\"path_base64\":\"L/8=\""));
    }

    #[test]
    fn a_request_says_where_products_go_by_name_unless_there_is_one_without() {
        let outs = |products: &[Option<&str>], outs: &[&[u8]]| {
            let line = request(b"/a", products, outs);
            line.split_once("\"/tmp/x\"").unwrap().1.to_owned()
        };
        assert_eq!(outs(&[None], &[b"/o/a.x"]), ",\"out\":\"/o/a.x\"}\n");
        assert_eq!(outs(&[None], &[b"/\xff"]), ",\"out\":\"/\u{fffd}\",\"out_base64\":\"L/8=\"}\n");
        assert_eq!(outs(&[Some("cat")], &[b"/a"]), ",\"out\":{\"cat\":\"/a\"}}\n");
        assert_eq!(
            outs(&[None, Some("b")], &[b"/a", b"/\xff"]),
            ",\"out\":{\"out\":\"/a\",\"b\":\"/\u{fffd}\"},\"out_base64\":{\"b\":\"L/8=\"}}\n"
        );
    }

    fn error(answer: &str) -> Option<String> {
        let RequestLine::Answer(answer) = read_line(answer.as_bytes(), MAX_DEPTH) else { panic!("{answer}") };
        error_of(&answer)
    }

    #[test]
    fn an_error_is_one_only_as_a_string() {
        assert_eq!(error("{\"error\": \"no \\u0061\", \"n\": 1}").as_deref(), Some("no a"));
        for fine in ["{}", "{\"error\": null}", "{\"error\": 0.1}", "{\"x\": {\"error\": \"y\"}}"] {
            assert_eq!(error(fine), None, "{fine}");
        }
    }

    #[test]
    fn what_is_no_object_is_log_and_may_have_been_meant_as_one() {
        for line in ["", "hello", "[INFO] loaded", "x {\"n\": 1}"] {
            assert_eq!(read_line(line.as_bytes(), MAX_DEPTH), RequestLine::Log(None), "{line}");
        }
        for line in ["{'n': 1}", "[1]", "1", "NaN", "{"] {
            assert!(matches!(read_line(line.as_bytes(), MAX_DEPTH), RequestLine::Log(Some(_))), "{line}");
        }
        assert!(
            matches!(read_line(b" {\"n\": NaN}\r", MAX_DEPTH), RequestLine::Answer(answer) if answer.non_finite == 1)
        );
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(1001), "]".repeat(1001));
        assert!(matches!(read_line(deep.as_bytes(), MAX_DEPTH), RequestLine::Refused(_)));
    }
}
