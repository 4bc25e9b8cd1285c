//! Splits a worker's standard output into answers and all other lines, which are its task's log.

use memchr::{memchr, memrchr};

use crate::process::capture::Capture;
use crate::record::task_record::TaskResult;
use crate::run::almost_json::{AlmostJson, almost_object, shown};
use crate::run::worker::protocol::{RequestLine, read_line};

/// How many bytes of a log line are checked for an intended answer.
const LOOKED_AT: usize = 64 * 1024;

/// What stands for text that is no longer looked at since a carriage return came after it.
const WRITTEN_OVER: &[u8] = b"...";

/// The possible forms of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WorkerAnswer {
    /// One object.
    Object(TaskResult),
    /// An invalid object, and why. The worker may continue.
    Refused(String),
    /// A line that was meant as an answer and is none. What follows may belong to it.
    Mistaken(AlmostJson),
    /// A line longer than the largest result.
    Endless,
}

/// What a line has been so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// Nothing, or blanks, or something that begins as an answer does: it goes nowhere before it ends.
    Held,
    /// Log; the kept part is checked when the line ends.
    Log,
    /// Log that is too long to be checked.
    Long,
}

/// Takes what is read, piece by piece.
#[derive(Debug)]
pub(super) struct Answers {
    /// The beginning of a line that has not ended.
    line: Vec<u8>,
    begun: Begun,
    /// The first answer that was not taken yet.
    first: Option<WorkerAnswer>,
    /// The first of the answers that came after it, in printable form.
    extra: Option<String>,
    /// Whether one of those does not end.
    is_endless: bool,
    most: AnswerLimits,
}

/// How large an answer may be.
#[derive(Debug, Clone, Copy)]
pub(in crate::run) struct AnswerLimits {
    /// Its longest line, bytes.
    pub(in crate::run) bytes: u64,
    /// How deep it may be nested.
    pub(in crate::run) depth: usize,
}

impl Answers {
    pub(super) fn new(most: AnswerLimits) -> Self {
        Self { line: Vec::new(), begun: Begun::Held, first: None, extra: None, is_endless: false, most }
    }

    fn is_too_long(&self, line: &[u8]) -> bool {
        line.len() as u64 > self.most.bytes
    }

    /// Takes the next piece; what is no answer goes to `log`.
    pub(super) fn push(&mut self, mut piece: &[u8], log: &mut Capture) {
        while let Some(end) = memchr(b'\n', piece) {
            let (rest, next) = piece.split_at(end + 1);
            match (self.begun, self.line.is_empty()) {
                (Begun::Held, true) => self.line_ended(rest, log),
                (Begun::Held, false) => {
                    let mut line = std::mem::take(&mut self.line);
                    line.extend_from_slice(rest);
                    self.line_ended(&line, log);
                    line.clear();
                    self.line = line;
                }
                (Begun::Log | Begun::Long, _) => {
                    self.go_on(rest, log);
                    self.log_ended();
                }
            }
            self.begun = Begun::Held;
            piece = next;
        }
        self.hold(piece, log);
    }

    fn line_ended(&mut self, line: &[u8], log: &mut Capture) {
        if self.is_too_long(line) && begins_as_answer(line) {
            return self.found(WorkerAnswer::Endless, line, log);
        }
        match read_line(&line[..line.len() - 1], self.most.depth) {
            RequestLine::Answer(result) => self.found(WorkerAnswer::Object(result), line, log),
            RequestLine::Refused(why) => {
                log.push(line);
                self.found(WorkerAnswer::Refused(why), line, log);
            }
            RequestLine::Log(mistaken) => {
                log.push(line);
                self.mistaken(mistaken);
            }
        }
    }

    /// The beginning of a line.
    fn hold(&mut self, piece: &[u8], log: &mut Capture) {
        if self.begun != Begun::Held {
            return self.go_on(piece, log);
        }
        self.line.extend_from_slice(piece);
        let held = self.line.trim_ascii_start();
        if !held.is_empty() && held[0] != b'{' {
            let line = std::mem::take(&mut self.line);
            self.begun = Begun::Log;
            self.go_on(&line, log);
        } else if self.is_too_long(&self.line) {
            let line = std::mem::take(&mut self.line);
            self.begun = Begun::Long;
            self.is_endless = true;
            self.found(WorkerAnswer::Endless, &line, log);
        }
    }

    /// More of a line of log, of which a terminal shows what comes after the last carriage return.
    fn go_on(&mut self, piece: &[u8], log: &mut Capture) {
        log.push(piece);
        if self.begun == Begun::Log {
            self.line.extend_from_slice(piece);
        }
        let is_long = self.begun == Begun::Long || self.line.len() > LOOKED_AT;
        if !is_long || self.is_endless {
            return;
        }
        let text = if self.begun == Begun::Long { piece } else { &self.line };
        let rest = memrchr(b'\r', text.trim_ascii_end()).map(|at| text[at..].to_vec());
        if let Some(rest) = rest.filter(|rest| rest.len() <= LOOKED_AT) {
            self.begun = Begun::Log;
            self.line = [WRITTEN_OVER, &rest].concat();
        } else {
            self.begun = Begun::Long;
            self.line.clear();
        }
    }

    fn log_ended(&mut self) {
        if self.begun == Begun::Log {
            let line = std::mem::take(&mut self.line);
            self.mistaken(almost_object(&line));
        }
        self.line.clear();
    }

    fn mistaken(&mut self, almost: Option<AlmostJson>) {
        if let Some(almost) = almost.filter(|_| self.first.is_none()) {
            self.first = Some(WorkerAnswer::Mistaken(almost));
        }
    }

    /// One answer counts; what else comes is log.
    fn found(&mut self, answer: WorkerAnswer, line: &[u8], log: &mut Capture) {
        if self.first.is_none() {
            self.first = Some(answer);
            return;
        }
        if !matches!(answer, WorkerAnswer::Refused(_)) {
            log.push(line);
        }
        self.extra.get_or_insert_with(|| shown(line));
    }

    /// The first answer.
    pub(super) fn take(&mut self) -> Option<WorkerAnswer> {
        self.first.take()
    }

    /// Whether there is one.
    pub(super) fn has_one(&self) -> bool {
        self.first.is_some()
    }

    /// Whether that was only meant as one.
    pub(super) fn is_mistaken(&self) -> bool {
        matches!(self.first, Some(WorkerAnswer::Mistaken(_)))
    }

    /// Makes log of what belongs to no request.
    pub(super) fn set_aside(&mut self, log: &mut Capture) {
        match self.first.take() {
            Some(WorkerAnswer::Object(TaskResult { json, .. })) => {
                log.push(&json);
                log.push(b"\n");
                self.extra = Some(shown(&json));
            }
            Some(WorkerAnswer::Refused(why)) => self.extra = Some(why),
            Some(WorkerAnswer::Mistaken(_) | WorkerAnswer::Endless) | None => {}
        }
    }

    /// What came beside the answer that was taken, if anything did.
    pub(super) fn take_extra(&mut self) -> Option<String> {
        self.extra.take()
    }

    /// Whether there is a line longer than the largest result.
    pub(super) fn is_endless(&self) -> bool {
        self.is_endless
    }

    /// Whether a line has begun as an answer does, and has not ended.
    pub(super) fn is_within_answer(&self) -> bool {
        self.is_endless || (self.begun == Begun::Held && begins_as_answer(&self.line))
    }

    /// What is held of a line that has not ended.
    pub(super) fn held(&self) -> &[u8] {
        if self.begun == Begun::Held { &self.line } else { b"" }
    }

    /// Hands over what is held of a line that will not end.
    pub(super) fn flush(&mut self, log: &mut Capture) {
        log.push(self.held());
        self.line.clear();
    }
}

fn begins_as_answer(line: &[u8]) -> bool {
    line.trim_ascii_start().first() == Some(&b'{')
}

#[cfg(test)]
mod tests {
    use super::{AnswerLimits, Answers, LOOKED_AT, WorkerAnswer};
    use crate::json::MAX_DEPTH;
    use crate::process::capture::Capture;

    /// What comes of a text read in pieces of this size: the first answer's text, whether another one came, whether a line
    /// has begun like one, and the log.
    fn taken(text: &str, size: usize) -> (Option<String>, bool, bool, String) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Capture::new(folder.path());
        let mut answers = Answers::new(AnswerLimits { bytes: 20, depth: MAX_DEPTH });
        text.as_bytes().chunks(size).for_each(|piece| answers.push(piece, &mut log));
        let first = answers.take().map(|answer| match answer {
            WorkerAnswer::Object(result) => String::from_utf8(result.json).unwrap(),
            WorkerAnswer::Refused(why) => why,
            WorkerAnswer::Mistaken(_) => "mistaken".to_owned(),
            WorkerAnswer::Endless => "endless".to_owned(),
        });
        let has_extra = answers.take_extra().is_some();
        let log = String::from_utf8(log.head(usize::MAX).unwrap()).unwrap();
        (first, has_extra, answers.is_within_answer(), log)
    }

    #[test]
    fn answers_and_log_are_told_apart_however_they_are_read() {
        for (text, answer, has_extra, is_within, log) in [
            ("{\"n\": 1}\n", Some("{\"n\": 1}"), false, false, ""),
            ("a\n\n {\"n\": 1}\r\nb\n", Some("{\"n\": 1}"), false, false, "a\n\nb\n"),
            ("[INFO] a\n{}  \n[1]\n", Some("{}"), false, false, "[INFO] a\n[1]\n"),
            ("{'n'}\n", Some("mistaken"), false, false, "{'n'}\n"),
            ("[1]\n{}\n", Some("mistaken"), true, false, "[1]\n{}\n"),
            ("{\n \"n\": 1\n}\n", Some("mistaken"), false, false, "{\n \"n\": 1\n}\n"),
            ("5%\r{\"n\": 1}\n", Some("mistaken"), false, false, "5%\r{\"n\": 1}\n"),
            ("{}\n{}\n", Some("{}"), true, false, "{}\n"),
            ("{}\n{", Some("{}"), false, true, ""),
            ("{}\nlog", Some("{}"), false, false, "log"),
            ("{\"a\": \"01234567890123456789\"}\n", Some("endless"), false, false, ""),
            (
                "no 01234567890123456789012345\n{}\n",
                Some("{}"),
                false,
                false,
                "no 01234567890123456789012345\n",
            ),
            ("{\"n\": 1}", None, false, true, ""),
        ] {
            for size in [1, 3, 1000] {
                // Of an endless line the rest is whatever it is: its worker is killed.
                let (first, extra, within, logged) = taken(text, size);
                assert_eq!(first.as_deref(), answer, "{text:?} by {size}");
                if answer != Some("endless") {
                    assert_eq!(
                        (extra, within, logged.as_str()),
                        (has_extra, is_within, log),
                        "{text:?} by {size}"
                    );
                }
            }
        }
    }

    #[test]
    fn of_a_line_of_any_length_what_a_terminal_shows_last_is_looked_at() {
        let long = "x".repeat(LOOKED_AT);
        let progress = format!("{long}\r").repeat(5);
        for size in [1000, LOOKED_AT + 7, usize::MAX] {
            for (text, answer) in [
                (format!("{progress}{{\"n\": 1}}\n"), Some("mistaken")),
                (format!("{long}{long}\r{{\"n\": 1}}\r\n{{}}\n"), Some("mistaken")),
                (format!("{progress}done\n{{}}\n"), Some("{}")),
                (format!("{long}{{}}\n"), None),
            ] {
                assert_eq!(taken(&text, size).0.as_deref(), answer, "by {size}");
            }
        }
    }
}
