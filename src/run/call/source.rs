//! What can be told of a Python file without running it: whether a name can be defined there at all.

/// Names are long, and files have many.
const SHOWN: usize = 8;

/// With one of these a file can define what does not stand in it.
const ANYTHING: [&str; 6] = ["import *", "globals(", "exec(", "setattr(", "__getattr__", "vars("];

/// What to say where `name` does not occur in the source of `file`, so that it can't be defined by it.
pub(super) fn why_not_there(source: &str, name: &str, file: &str) -> Option<String> {
    let is_anything = ANYTHING.iter().any(|text| source.contains(text));
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    if is_anything || source.split(|letter| !is_letter(letter)).any(|word| word == name) {
        return None;
    }
    let defined: Vec<&str> =
        source.lines().filter_map(defined).filter(|name| !name.starts_with('_')).collect();
    let nearest = defined.iter().min_by_key(|other| strsim::damerau_levenshtein(name, other));
    let is_near = |other: &&&str| strsim::damerau_levenshtein(name, other) <= (name.len() / 3).max(1);
    let rest = match (nearest.filter(is_near), defined.len().checked_sub(SHOWN)) {
        (Some(near), _) => format!("; did you mean `{near}`?"),
        (None, _) if defined.is_empty() => ", and defines no other function either".to_owned(),
        (None, more) => {
            let shown: Vec<String> = defined.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
            let more = more.filter(|more| *more > 0).map(|more| format!(" and {more} more"));
            format!("; it has {}{}", shown.join(", "), more.unwrap_or_default())
        }
    };
    Some(format!("{file} has no `{name}`{rest}"))
}

/// The function or class that a line begins to define at the top of a file.
fn defined(line: &str) -> Option<&str> {
    let rest = ["def ", "async def ", "class "].iter().find_map(|word| line.strip_prefix(word))?;
    let name = rest.trim_start();
    let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
    Some(&name[..end])
}

#[cfg(test)]
mod tests {
    use super::why_not_there;

    #[test]
    fn what_does_not_occur_is_not_there_and_what_may_be_meant_is_named() {
        let why = |source, name| why_not_there(source, name, "a.py");
        let source = "import os\ndef analyze(path):\n    def inner(): pass\nclass Survey:\n    pass\ndef _own(): pass\n";
        assert_eq!(why(source, "analyse").unwrap(), "a.py has no `analyse`; did you mean `analyze`?");
        assert_eq!(why(source, "measure").unwrap(), "a.py has no `measure`; it has `analyze`, `Survey`");
        assert_eq!(why("x = 1", "f").unwrap(), "a.py has no `f`, and defines no other function either");
        let many = (0..10).map(|number| format!("def f{number}(): pass")).collect::<Vec<_>>().join("\n");
        assert!(why(&many, "other").unwrap().ends_with("`f7` and 2 more"));
        for there in ["def analyse(): pass", "from x import analyse", "from x import *", "analyse = 1"] {
            assert_eq!(why(there, "analyse"), None, "{there}");
        }
    }
}
