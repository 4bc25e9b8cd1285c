//! The answers of the Python process that calls a function: an object with one member; its key says what the value is.

use crate::json::{self, MAX_DEPTH};
use crate::record::task_record::TaskResult;
use crate::run::worker::{AnswerLimits, TaskAnswer};

/// How much longer than the result an answer is, bytes: `{"ok":` and `}` with a line end.
const FRAME: u64 = 8;

/// How many bytes an answer may always have, however small results must be: it may say why there is none.
const LEAST: u64 = 16 * 1024;

/// How large an answer may be, for results of this many bytes.
pub(in crate::run) fn answer_limits(max_result: u64) -> AnswerLimits {
    AnswerLimits { bytes: max_result.saturating_add(FRAME).max(LEAST), depth: MAX_DEPTH + 1 }
}

/// Reads an answer, in which NaN and Infinity were counted; `None` for what is none.
pub(in crate::run) fn read_answer(answer: &TaskResult) -> Option<TaskAnswer> {
    let member = json::members(&answer.json).next()?;
    let text = || json::string_text(member.value).into_owned();
    let is = |key: &str| json::string_eq(member.key, key);
    Some(match member.value.first()? {
        _ if is("ok") => TaskAnswer::Returned(returned(member.value, answer.non_finite)),
        b'"' if is("raised") => TaskAnswer::Raised(text()),
        b'"' if is("unfit") => TaskAnswer::Unfit(text()),
        b'"' if is("refused") => TaskAnswer::Refused { why: text(), is_broken: false },
        b'"' if is("broken") => TaskAnswer::Refused { why: text(), is_broken: true },
        _ => return None,
    })
}

fn returned(value: &[u8], non_finite: u64) -> Option<TaskResult> {
    // A NaN by itself has become null, and is a result.
    let is_none = value == b"null" && non_finite == 0;
    let is_object = value.first() == Some(&b'{');
    (!is_none).then(|| TaskResult { json: value.to_vec(), is_object, non_finite })
}

#[cfg(test)]
mod tests {
    use crate::json::{self, MAX_DEPTH};
    use crate::record::task_record::TaskResult;
    use crate::run::worker::TaskAnswer;

    fn read(answer: &str) -> Option<TaskAnswer> {
        let normal = json::normalise(answer.as_bytes(), MAX_DEPTH).unwrap();
        super::read_answer(&TaskResult {
            is_object: true,
            non_finite: normal.non_finite as u64,
            json: normal.text.into_owned(),
        })
    }

    #[test]
    fn what_was_returned_may_be_anything() {
        for (answer, json, is_object, non_finite) in [
            (r#"{"ok":{"error":"none"}}"#, r#"{"error":"none"}"#, true, 0),
            (r#"{"ok":[1,NaN]}"#, "[1,null]", false, 1),
            (r#"{"ok":NaN}"#, "null", false, 1),
            (r#"{"ok":"x"}"#, r#""x""#, false, 0),
        ] {
            let result = TaskResult { json: json.into(), is_object, non_finite };
            assert_eq!(read(answer), Some(TaskAnswer::Returned(Some(result))), "{answer}");
        }
        assert_eq!(read(r#"{"ok":null}"#), Some(TaskAnswer::Returned(None)));
    }

    #[test]
    fn other_answers_are_told_apart_by_their_key() {
        assert_eq!(read(r#"{"raised":"E: \u00e9"}"#), Some(TaskAnswer::Raised("E: é".into())));
        assert_eq!(read(r#"{"unfit":"x"}"#), Some(TaskAnswer::Unfit("x".into())));
        for (key, is_broken) in [("refused", false), ("broken", true)] {
            let refused = TaskAnswer::Refused { why: "x".into(), is_broken };
            assert_eq!(read(&format!("{{\"{key}\":\"x\"}}")), Some(refused));
        }
        for none in ["{}", r#"{"raised":1}"#, r#"{"stars":42}"#] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
