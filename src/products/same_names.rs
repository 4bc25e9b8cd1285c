//! Output names in a command that are the same for several files, so that tasks of one run may overwrite each other's files:
//! found before anything runs, if no products are declared.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};

use crate::model::entries::{Entries, Entry};
use crate::record::inputs::InputSpec;
use crate::record::rel::RelPaths;
use crate::template::{TaskPlace, Template, Token};
use crate::units;

/// One line about the first word of a command that is made of a file's name and the same for several of these; `None` where
/// all are different.
pub fn note(template: &Template, entries: &Entries, source: &InputSpec) -> Option<String> {
    let makes_name = |tokens: &&[Token]| {
        tokens.iter().any(|token| is_part_of_name(*token))
            && !tokens.iter().any(|token| matches!(token, Token::Path | Token::Index | Token::Out(_)))
    };
    let rel = template.uses(Token::Rel).then(|| RelPaths::of(source));
    let mut words = template.words_of_tokens().filter(makes_name);
    words.find_map(|tokens| Word { tokens, rel: rel.as_ref() }.note(entries))
}

/// Whether it stands for a part of a file's path that identifies the file.
fn is_part_of_name(token: Token) -> bool {
    matches!(
        token,
        Token::BaseName
            | Token::WithoutExtension
            | Token::BaseWithoutExtension
            | Token::Stem
            | Token::BaseStem
            | Token::Rel
    )
}

/// The placeholders in a word of the command.
struct Word<'a> {
    tokens: &'a [Token],
    rel: Option<&'a RelPaths>,
}

impl Word<'_> {
    fn note(&self, entries: &Entries) -> Option<String> {
        let mut hashes: Vec<u64> = entries.iter().map(|entry| self.hash(entry)).collect();
        hashes.sort_unstable();
        let repeated: HashSet<u64> =
            hashes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        let same = hashes.iter().filter(|hash| repeated.contains(hash)).count();
        let one = entries.iter().find(|entry| same > 0 && repeated.contains(&self.hash(*entry)))?;
        let hash = self.hash(one);
        let other = entries.iter().find(|entry| entry.path != one.path && self.hash(*entry) == hash)?;
        let tokens: String = self.tokens.iter().map(|token| token.as_str()).collect();
        let [one, other] = [one.path, other.path].map(units::path);
        Some(format!(
            "{tokens} in the command is the same for several files ({same} of {}, such as {one} and {other}): tasks that use it in an output name overwrite each other's file. {{rel}} or {{index}} tells files apart; with --product this is checked",
            entries.len()
        ))
    }

    fn hash(&self, entry: Entry<'_>) -> u64 {
        let rel = entry.rel.unwrap_or_else(|| self.rel.map_or(entry.path, |rel| rel.of_entry(entry.path)));
        let place = TaskPlace { path: entry.path, rel, row: entry.row, ..TaskPlace::of_slot(0, 0) };
        let mut hasher = DefaultHasher::new();
        let mut text = Vec::with_capacity(entry.path.len());
        for token in self.tokens {
            text.clear();
            token.append(&place, &mut text);
            hasher.write(&text);
            hasher.write_u8(0);
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::{OsStr, OsString};

    use super::note;
    use crate::model::entries::{Entries, Entry};
    use crate::record::inputs::InputSpec;
    use crate::template::{Template, Vocabulary};

    const FILES: [&str; 4] = ["/d/n1/o.fits", "/d/n2/o.fits", "/d/n1/o.fits.gz", "/d/n1/x.fits"];

    fn noted(template: &Template) -> Option<String> {
        let entries = Entries::of(FILES.map(Entry::of)).unwrap();
        note(template, &entries, &InputSpec::List { file: "-".into(), null: false })
    }

    #[test]
    fn a_name_that_several_files_have_is_told_of() {
        for (word, expected) in [
            (
                "out/{/:}.cat",
                Some(
                    "{/:} in the command is the same for several files (3 of 4, such as /d/n1/o.fits and /d/n2/o.fits)",
                ),
            ),
            (
                "{//}/{/:}.cat",
                Some(
                    "{//}{/:} in the command is the same for several files (2 of 4, such as /d/n1/o.fits and /d/n1/o.fits.gz)",
                ),
            ),
            (
                "{/}",
                Some(
                    "{/} in the command is the same for several files (2 of 4, such as /d/n1/o.fits and /d/n2/o.fits)",
                ),
            ),
            ("{//}/{/}", None),
            ("{rel}.cat", None),
            ("{index}.{/:}.cat", None),
            ("{slot}", None),
            ("{//}", None),
        ] {
            let words = ["x", word, "{}"].map(OsString::from);
            let said = noted(&Template::from_argv(&words, &Vocabulary::default()).unwrap());
            let is_as_expected = match (&said, expected) {
                (Some(said), Some(expected)) => said.starts_with(expected),
                (said, expected) => said.is_none() && expected.is_none(),
            };
            assert!(is_as_expected, "{word}: {said:?}");
        }
    }

    #[test]
    fn words_of_a_shell_command_are_looked_at_each_by_itself() {
        for (script, is_told) in [
            ("cat {} > out/{/:}.txt", true),
            ("cat {} > {:}{/:}", true),
            ("cat {} > {rel}.{/:}", false),
            ("b={/:}; cat {} > \"$b\"", true),
            ("cat {} > \"$OUT\"/{/:}.csv", true),
            ("cat {} > `date`/{/:}.csv;# it's", true),
            ("cat {} > {index}", false),
            ("grep -c x {}", false),
        ] {
            let template = Template::from_shell(OsStr::new(script), &Vocabulary::default()).unwrap();
            assert_eq!(noted(&template).is_some(), is_told, "{script}");
        }
    }
}
