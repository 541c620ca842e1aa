//! A profile in any spelling that the format allows. Octets choose sections, relations and how they are spelled; what
//! is read has to be the relations, at their lines. A property test draws the octets, and a fuzz target grows them.

use std::collections::{BTreeMap, BTreeSet};

use krb5_profile::{Child, FinalRule, Profile, Section};

/// Names from the outside in.
type Path = Vec<Vec<u8>>;

/// The values of each relation and their lines, in the order of the file.
type Values = BTreeMap<Path, Vec<(Vec<u8>, usize)>>;

/// Makes a file of `choices`, reads it under both rules of finality, and compares.
pub fn check(choices: &[u8]) {
    for rule in [FinalRule::Before1_22, FinalRule::Since1_22] {
        let mut speller = Speller {
            choices: choices.iter(),
            rule,
            text: Vec::new(),
            line: 1,
            values: Values::new(),
            final_sections: BTreeSet::new(),
            final_relations: BTreeSet::new(),
        };
        speller.file();
        let shown = krb5_profile::text(&speller.text);
        let profile =
            Profile::parse("spelled", &speller.text, rule).unwrap_or_else(|error| panic!("{error}: {shown}"));
        let mut read = Values::new();
        collect(profile.trees()[0].root(), &mut Vec::new(), &mut read);
        assert_eq!(read, speller.values, "{rule:?}: {shown}");
        for (path, values) in &read {
            let queried: Vec<_> = profile
                .relations(path)
                .iter()
                .map(|relation| relation.value())
                .collect();
            let expected: Vec<_> = values.iter().map(|(value, _)| value.as_slice()).collect();
            assert_eq!(queried, expected, "{rule:?} {path:?}: {shown}");
        }
        // Written and read again, it says the same, but for the lines.
        let written = profile.trees()[0].to_octets().unwrap();
        let again = Profile::parse("written", &written, rule).unwrap();
        let mut reread = Values::new();
        collect(again.trees()[0].root(), &mut Vec::new(), &mut reread);
        let without_lines = |values: Values| -> Vec<_> {
            let strip = |(path, values): (Path, Vec<(Vec<u8>, usize)>)| {
                (
                    path,
                    values.into_iter().map(|(value, _)| value).collect::<Vec<_>>(),
                )
            };
            values.into_iter().map(strip).collect()
        };
        assert_eq!(without_lines(reread), without_lines(read), "{rule:?}: {shown}");
    }
}

fn collect(section: Section<'_>, path: &mut Path, values: &mut Values) {
    for child in section.children() {
        path.push(child.name().to_vec());
        match child {
            Child::Section(section) => collect(section, path, values),
            Child::Relation(relation) => {
                let value = (relation.value().to_vec(), relation.position().line());
                values.entry(path.clone()).or_default().push(value);
            }
        }
        path.pop();
    }
}

struct Speller<'c> {
    /// Zeros follow the last one, so that everything ends.
    choices: std::slice::Iter<'c, u8>,
    rule: FinalRule,
    text: Vec<u8>,
    line: usize,
    values: Values,
    final_sections: BTreeSet<Path>,
    final_relations: BTreeSet<Path>,
}

impl Speller<'_> {
    fn octet(&mut self) -> u8 {
        self.choices.next().copied().unwrap_or_default()
    }

    fn below(&mut self, bound: u8) -> u8 {
        self.octet() % bound
    }

    fn pick<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        let count = u8::try_from(texts.len()).unwrap();
        texts[usize::from(self.below(count))]
    }

    fn write(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    fn end_line(&mut self) {
        let end = self.pick(&["\n", "\n", "\n", "\r\n", "\r\r\n"]);
        self.write(end.as_bytes());
        self.line += 1;
    }

    fn blanks(&mut self) {
        let blanks = self.pick(&["", "", " ", "\t", "  \x0b"]);
        self.write(blanks.as_bytes());
    }

    fn file(&mut self) {
        for _ in 0..self.below(3) {
            let ignored = self.pick(&["", "# [a]", " [a]", "a = 1", "}", "{", "= = ="]);
            self.write(ignored.as_bytes());
            self.end_line();
        }
        for _ in 0..self.below(6) {
            self.section();
        }
    }

    fn section(&mut self) {
        let name = self.pick(&["a", "b", " c d ", "", "{", "#"]);
        let is_final = self.below(8) == 7;
        let tail = self.pick(&["", "", " ", "\t "]);
        let mark = if is_final { "*" } else { "" };
        self.write(format!("[{name}]{mark}{tail}").as_bytes());
        self.end_line();
        let path = vec![name.as_bytes().to_vec()];
        let is_read = self.open(&path, is_final, true);
        self.entries(&path, is_read, 0);
    }

    /// Whether what follows is read: a section that was final already takes nothing more since 1.22.
    fn open(&mut self, path: &Path, is_final: bool, parent_is_read: bool) -> bool {
        if !parent_is_read {
            return false;
        }
        let discards = self.rule == FinalRule::Since1_22 && self.final_sections.contains(path);
        if is_final && !discards {
            self.final_sections.insert(path.clone());
        }
        !discards
    }

    fn entries(&mut self, path: &Path, is_read: bool, depth: u8) {
        for _ in 0..self.below(6) {
            match self.below(8) {
                0 => {
                    self.blanks();
                    let comment = self.pick(&["", "# x = 1", "; }", "#{", ";[a]"]);
                    self.write(comment.as_bytes());
                    self.end_line();
                }
                1 | 2 if depth < 6 => self.subsection(path, is_read, depth),
                _ => self.relation(path, is_read),
            }
        }
    }

    /// A tag with its mark, and the equals sign.
    fn tag(&mut self, path: &Path) -> (Path, bool) {
        let name = self.pick(&["x", "y", "z.0", "includes", "\"q\"", "s/t"]);
        let mark = self.pick(&["", "", "", "", "", "", "*", "*ignored"]);
        // In the first column, a word like "include" would be a directive.
        self.blanks();
        self.write(name.as_bytes());
        self.write(mark.as_bytes());
        self.blanks();
        self.write(b"=");
        self.blanks();
        let path = [path.as_slice(), &[name.as_bytes().to_vec()]].concat();
        (path, !mark.is_empty())
    }

    fn subsection(&mut self, parent: &Path, parent_is_read: bool, depth: u8) {
        let (path, is_final) = self.tag(parent);
        if self.below(3) == 2 {
            // The brace on the next line takes the rest of that line with it.
            self.end_line();
            self.blanks();
            let brace = self.pick(&["{", "{ ", "{ x = 1", "{}"]);
            self.write(brace.as_bytes());
        } else {
            let brace = self.pick(&["{", "{ ", "{\t"]);
            self.write(brace.as_bytes());
        }
        self.end_line();
        let is_read = self.open(&path, is_final, parent_is_read);
        self.entries(&path, is_read, depth + 1);
        self.blanks();
        let close = self.pick(&["}", "}", "} x", "} *", "}*", "}* x"]);
        self.write(close.as_bytes());
        self.end_line();
        if close.starts_with("}*") && is_read {
            self.final_sections.insert(path);
        }
    }

    fn relation(&mut self, parent: &Path, is_read: bool) {
        let line = self.line;
        let (path, is_final) = self.tag(parent);
        let value = if self.below(2) == 0 {
            self.quoted()
        } else {
            self.bare()
        };
        self.end_line();
        let closed = self.rule == FinalRule::Since1_22 && self.final_relations.contains(&path);
        if is_read && !closed {
            self.values.entry(path.clone()).or_default().push((value, line));
            if is_final {
                self.final_relations.insert(path);
            }
        }
    }

    /// Any octets but NUL, which ends a line.
    fn quoted(&mut self) -> Vec<u8> {
        let value: Vec<u8> = (0..self.below(16)).map(|_| self.octet().max(1)).collect();
        self.write(b"\"");
        for &octet in &value {
            let escaped: &[u8] = match octet {
                b'\n' => br"\n",
                b'\t' if self.below(2) == 0 => br"\t",
                0x08 if self.below(2) == 0 => br"\b",
                b'"' => br#"\""#,
                b'\\' => br"\\",
                // A backslash before anything else is gone.
                b'n' | b't' | b'b' => &[octet],
                _ if self.below(8) == 7 => &[b'\\', octet],
                _ => &[octet],
            };
            self.write(escaped);
        }
        let tail = self.pick(&["\"", "\"", "\" rest", "\"\"", "\"}"]);
        self.write(tail.as_bytes());
        value
    }

    /// A value that needs no quotes: it neither begins nor ends with a blank, and does not begin as something else.
    fn bare(&mut self) -> Vec<u8> {
        let first = self.pick(&["v", "0", "-", "#", "\\n", "}", "[", "=", "*", "{x", "\u{e9}"]);
        let mut value = first.as_bytes().to_vec();
        for _ in 0..self.below(12) {
            match self.octet() {
                octet @ (b' '..=b'~' | 0x80..) => value.push(octet),
                _ => value.push(b'v'),
            }
        }
        value.push(b'.');
        self.write(&value);
        self.blanks();
        value
    }
}
