//! What a worker is asked and what its answers mean.

use std::ffi::OsStr;
use std::fmt::Write as _;

use crate::json::{self, JsonFault, JsonKind};
use crate::record::item::TaskResult;
use crate::run::almost_json::{AlmostJson, almost_object};
use crate::text::PathText;

/// The key by which an answer says that its task failed, if its value is a string.
const ERROR: &str = "error";

/// Writes the request for one task: one line of JSON. A path that is not UTF-8 has its exact bytes in a second member.
pub fn write_request(line: &mut Vec<u8>, path: &OsStr, index: u64, attempt: u32, tmpdir: &OsStr) {
    line.clear();
    line.push(b'{');
    write_path(line, "path", path);
    let mut numbers = String::with_capacity(64);
    // Text in memory has no way to fail.
    let _ = write!(numbers, ",\"index\":{index},\"attempt\":{attempt},");
    line.extend_from_slice(numbers.as_bytes());
    write_path(line, "tmpdir", tmpdir);
    line.extend_from_slice(b"}\n");
}

fn write_path(line: &mut Vec<u8>, name: &str, path: &OsStr) {
    json::write_string(line, name);
    line.push(b':');
    json::write_string(line, &path.to_string_lossy());
    if let Some(base64) = PathText::exact(path).path_base64 {
        line.push(b',');
        json::write_string(line, &format!("{name}_base64"));
        line.push(b':');
        json::write_string(line, &base64);
    }
}

/// What an answer means, whoever gave it.
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
    /// One that can't be taken, and why.
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

/// What an answer says of why its task failed, if it did.
pub(super) fn error_of(answer: &TaskResult) -> Option<String> {
    let error = json::members(&answer.json).filter(|member| json::string_eq(member.key, ERROR)).last()?;
    (error.value.first() == Some(&b'"')).then(|| json::string_text(error.value).into_owned())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::{RequestLine, error_of, read_line, write_request};
    use crate::json::MAX_DEPTH;

    fn request(path: &[u8]) -> String {
        let mut line = b"before".to_vec();
        write_request(&mut line, OsStr::from_bytes(path), 7, 2, OsStr::new("/tmp/x"));
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_request_is_one_line_whatever_the_path_holds() {
        assert_eq!(
            request(b"/a b\n\"c.fits"),
            "{\"path\":\"/a b\\n\\\"c.fits\",\"index\":7,\"attempt\":2,\"tmpdir\":\"/tmp/x\"}\n"
        );
        assert!(request(b"/\xff").contains("\"path_base64\":\"L/8=\""));
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
