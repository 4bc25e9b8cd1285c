//! A worker's standard output, taken apart: answers, and all other lines, which are its task's log.

use memchr::memchr;

use crate::json::JsonError;
use crate::record::item::TaskResult;
use crate::run::capture::Capture;
use crate::run::worker::protocol::{Line, read_line};

/// What stands for an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// One object.
    Object(TaskResult),
    /// An object that can't be taken, and why. The worker may go on.
    Refused(String),
    /// A line that goes on beyond what a result may have.
    Endless,
}

/// What a line has been so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// Nothing, or blanks, or something that begins as an answer does: it is kept until it ends.
    Held,
    /// Log, of which nothing is kept.
    Log,
}

/// Takes what is read, piece by piece.
#[derive(Debug)]
pub(super) struct Answers {
    /// The beginning of a line that has not ended.
    line: Vec<u8>,
    begun: Begun,
    /// The first answer that was not taken yet.
    first: Option<Answer>,
    /// Whether there was another one after it.
    more: bool,
    /// Why the last line that looked like an answer was none.
    mistaken: Option<JsonError>,
    /// The longest answer, bytes.
    most: usize,
}

impl Answers {
    pub(super) fn new(max_bytes: u64) -> Self {
        let most = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        Self { line: Vec::new(), begun: Begun::Held, first: None, more: false, mistaken: None, most }
    }

    /// Takes the next piece; what is no answer goes to `log`.
    pub(super) fn push(&mut self, mut piece: &[u8], log: &mut Capture) {
        while let Some(end) = memchr(b'\n', piece) {
            let (rest, next) = piece.split_at(end + 1);
            match (self.begun, self.line.is_empty()) {
                (Begun::Log, _) => log.push(rest),
                (Begun::Held, true) => self.line_ended(rest, log),
                (Begun::Held, false) => {
                    let mut line = std::mem::take(&mut self.line);
                    line.extend_from_slice(rest);
                    self.line_ended(&line, log);
                    line.clear();
                    self.line = line;
                }
            }
            self.begun = Begun::Held;
            piece = next;
        }
        self.hold(piece, log);
    }

    fn line_ended(&mut self, line: &[u8], log: &mut Capture) {
        if line.len() > self.most && begins_as_answer(line) {
            return self.found(Answer::Endless);
        }
        match read_line(&line[..line.len() - 1]) {
            Line::Answer(result) => self.found(Answer::Object(result)),
            Line::Refused(why) => {
                log.push(line);
                self.found(Answer::Refused(why));
            }
            Line::Log(mistaken) => {
                log.push(line);
                self.mistaken = mistaken.or(self.mistaken);
            }
        }
    }

    /// The beginning of a line.
    fn hold(&mut self, piece: &[u8], log: &mut Capture) {
        if self.begun == Begun::Log {
            return log.push(piece);
        }
        self.line.extend_from_slice(piece);
        let held = self.line.trim_ascii_start();
        if !held.is_empty() && held[0] != b'{' {
            self.begun = Begun::Log;
            log.push(&self.line);
            self.line.clear();
        } else if self.line.len() > self.most {
            self.line = Vec::new();
            self.found(Answer::Endless);
        }
    }

    fn found(&mut self, answer: Answer) {
        self.more |= self.first.is_some();
        self.first.get_or_insert(answer);
    }

    /// The first answer.
    pub(super) fn take(&mut self) -> Option<Answer> {
        self.first.take()
    }

    /// Whether there is an answer, or the beginning of one: nobody may ask now.
    pub(super) fn is_ahead(&self) -> bool {
        self.first.is_some() || self.more || begins_as_answer(&self.line)
    }

    /// Why the last line that looked like an answer was none, if there was one since this was last asked.
    pub(super) fn take_mistaken(&mut self) -> Option<JsonError> {
        self.mistaken.take()
    }

    /// Hands over what is held of a line that will not end.
    pub(super) fn flush(&mut self, log: &mut Capture) {
        log.push(&std::mem::take(&mut self.line));
    }
}

fn begins_as_answer(line: &[u8]) -> bool {
    line.trim_ascii_start().first() == Some(&b'{')
}

#[cfg(test)]
mod tests {
    use super::{Answer, Answers};
    use crate::run::capture::Capture;

    /// What comes of a text read in pieces of this size: the first answer's text, whether more are ahead, and the log.
    fn taken(text: &str, size: usize) -> (Option<String>, bool, String) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Capture::new(folder.path());
        let mut answers = Answers::new(20);
        text.as_bytes().chunks(size).for_each(|piece| answers.push(piece, &mut log));
        let first = answers.take().map(|answer| match answer {
            Answer::Object(result) => String::from_utf8(result.json).unwrap(),
            Answer::Refused(why) => why,
            Answer::Endless => "endless".to_owned(),
        });
        let log = String::from_utf8(log.head(usize::MAX).unwrap()).unwrap();
        (first, answers.is_ahead(), log)
    }

    #[test]
    fn answers_and_log_are_told_apart_however_they_are_read() {
        for (text, answer, ahead, log) in [
            ("{\"n\": 1}\n", Some("{\"n\": 1}"), false, ""),
            ("a\n\n {\"n\": 1}\r\nb\n", Some("{\"n\": 1}"), false, "a\n\nb\n"),
            ("{'n'}\n[1]\n{\"n\": 1}\n", Some("{\"n\": 1}"), false, "{'n'}\n[1]\n"),
            ("{}\n{}\n", Some("{}"), true, ""),
            ("{}\n{", Some("{}"), true, ""),
            ("{}\nlog", Some("{}"), false, "log"),
            ("{\"a\": \"01234567890123456789\"}\n", Some("endless"), false, ""),
            ("no 01234567890123456789012345\n{}\n", Some("{}"), false, "no 01234567890123456789012345\n"),
            ("{\"n\": 1}", None, true, ""),
        ] {
            for size in [1, 3, 1000] {
                // Of an endless line the rest is whatever it is: its worker is killed.
                let (first, is_ahead, logged) = taken(text, size);
                assert_eq!(first.as_deref(), answer, "{text:?} by {size}");
                if answer != Some("endless") {
                    assert_eq!((is_ahead, logged.as_str()), (ahead, log), "{text:?} by {size}");
                }
            }
        }
    }
}
